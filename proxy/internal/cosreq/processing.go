package cosreq

import "strings"

// ciProcess is the query parameter that starts a Cloud Infinite job on an object.
const ciProcess = "ci-process"

// readingRules are the image processing rules of a download (COS document "Image
// processing"). style/<name> applies rules that are stored in the bucket.
var readingRules = setOf("imageMogr2 imageView2 imageInfo imageAve imageSlim exif watermark style")

// isReadingRule reports whether a query parameter is a pipeline of rules that only read,
// such as imageMogr2/thumbnail/50x|watermark/2/text/aGk=. A rule may contain =, so the
// value of the parameter is part of the pipeline.
func isReadingRule(p Param) bool {
	rules := p.Key
	if p.Value != "" {
		rules += "=" + p.Value
	}
	for rule := range strings.SplitSeq(rules, "|") {
		if name, _, _ := strings.Cut(rule, "/"); !readingRules[name] {
			return false
		}
	}
	return true
}

// readingProcesses are the values of ci-process with which a GET only reads its object
// (Cloud Infinite documents; the Go SDK). They do not include ImageSearch, which also
// writes to an index, or pm3u8, modifym3u8token and getplaylist, which return signed URLs
// of other objects.
var readingProcesses = setOf(`
	AIBodyRecognition AIEnhanceImage AIGameRec AIImageColoring AIImageCrop AILicenseRec
	AIObjectDetect AIPicMatting AIPortraitMatting AISuperResolution AssessQuality
	DetectCar DetectFace GoodsMatting IDCardOCR ImageInspect ImageRepair ImageTargetRec
	LivenessRecognition OCR QRcode RecognizeLogo ai-recognition detect-label detect-pet
	doc-preview face-effect filehash originImage sensitive-content-recognition snapshot
	videoinfo zippreview`)

// processParameters are the query parameters of these jobs. They do not include async and
// callback, which send the result elsewhere.
var processParameters = setOf(`
	BestFrameNum CardSide CardType Config IdCard ImageParams LivenessType MaskPic
	MaskPoly Name ValidateData age batch biz-type center-layout comment copyable cover
	dataid denoise detect-type detect-url dstType dx dy enable-word-polygon
	enable_aesthetics enable_clarity enable_lowquality excelCol excelPaperDirection
	excelPaperSize excelRow eyeEnlarging faceLifting fixed format gender height
	horizontal-spacing htmlParams htmlfillstyle htmlfront htmlhorizontal htmlrotate
	htmlvertical htmlwaterword ignore-error image imageDpi interval ispdf isword
	language-type large-image-detect limit max-face-num max-frames mode
	padding-layout page password pdf-pagenumber pos quality rotate scale sharpen sheet
	smoothing srcType text time tokenuid txtPagination type uncompress-key
	vertical-spacing weboffice_url whitening width zoom`)
