// The AWS SDK for JavaScript as a client of cosproxy, over http and over TLS: default settings
// except the endpoint, path style, a dummy key pair and, with TLS, the certificate.
//
//   cosemu -- node s3.mjs path/to/cosproxy
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CopyObjectCommand, CreateMultipartUploadCommand, DeleteObjectCommand,
  DeleteObjectsCommand, DeleteObjectTaggingCommand, GetObjectAclCommand, GetObjectAttributesCommand, GetObjectCommand, GetObjectTaggingCommand,
  HeadBucketCommand, HeadObjectCommand, ListBucketsCommand, ListMultipartUploadsCommand, ListObjectsCommand, ListPartsCommand, paginateListObjectsV2,
  PutObjectAclCommand, PutObjectCommand, PutObjectTaggingCommand, S3Client, UploadPartCommand, UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { createPresignedPost } from '@aws-sdk/s3-presigned-post';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { createCertificate, startSidecar } from './sidecar.mjs';

const Bucket = process.env.COSPROXY_BUCKET;
const MiB = 1 << 20;
const trickyKeys = [
  'plain', 'a b', 'a+b', 'a%2Fb', 'a//b', 'dir/', '中文/ü', "~*'()!$&,;=:@", 'a?b#c', '%', '..a/.b', '"<>\\^{|}`', 'a/../b', 'a/./b', '/a', 'tail ', 'k'.repeat(850),
];
const algorithms = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'];
const large = randomBytes(100 * MiB);

// stream returns body as a stream of 64 KiB at a time.
function stream(body) {
  return Readable.from((function* slices() {
    for (let i = 0; i < body.length; i += 64 << 10) {
      yield body.subarray(i, i + (64 << 10));
    }
  })());
}

describe('AWS SDK for JavaScript', () => {
  for (const scheme of ['http', 'https']) {
    describe(`over ${scheme}`, () => operations(scheme));
  }
});

function operations(scheme) {
  let proxy;
  let s3;
  let tls;
  let ca;

  before(async () => {
    if (scheme === 'https') {
      tls = createCertificate();
      ca = tls.certificate;
    }
    proxy = await startSidecar(process.argv[2], tls?.environment);
    s3 = new S3Client({
      endpoint: `${scheme}://${proxy.address}`, region: 'ap-guangzhou', forcePathStyle: true, maxAttempts: 1,
      credentials: { accessKeyId: 'dummy', secretAccessKey: 'dummy' }, requestHandler: { httpsAgent: new Agent({ ca, keepAlive: true, maxSockets: 50 }) },
    });
  });

  after(async () => {
    s3.destroy();
    tls?.remove();
    assert.equal(await proxy.stop(), 0, 'exit code after SIGTERM');
  });

  const send = (Command, input) => s3.send(new Command({ Bucket, ...input }));
  const put = (Key, Body, more) => send(PutObjectCommand, { Key, Body, ...more });
  const head = (Key) => send(HeadObjectCommand, { Key });

  async function get(Key, more) {
    const got = await send(GetObjectCommand, { Key, ...more });
    return Buffer.from(await got.Body.transformToByteArray());
  }

  // list returns the keys of a list in the V2 form.
  async function list(Prefix) {
    const keys = [];
    for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket, Prefix })) {
      keys.push(...(page.Contents ?? []).map((o) => o.Key));
    }
    return keys;
  }

  async function deleteMany(keys) {
    for (let i = 0; i < keys.length; i += 1000) {
      const Objects = keys.slice(i, i + 1000).map((Key) => ({ Key }));
      const deleted = await send(DeleteObjectsCommand, { Delete: { Objects } });
      assert.deepEqual([deleted.Deleted.length, deleted.Errors], [Objects.length, undefined]);
    }
  }

  // plain sends a request without an SDK.
  function plain(method, url, { body = '', headers = {} } = {}) {
    return new Promise((resolve, reject) => {
      const request = scheme === 'https' ? httpsRequest : httpRequest;
      const req = request(url, { method, ca, agent: false, headers: { 'Content-Length': Buffer.byteLength(body), ...headers } }, async (res) => {
        const chunks = await res.toArray();
        resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks).toString() });
      });
      req.on('error', reject);
      req.end(body);
    });
  }

  // post sends a form, with its file last.
  async function post({ url, fields }, file) {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) {
      form.append(name, value);
    }
    form.append('file', new Blob([file]), 'a b.txt');
    const encoded = new Response(form);
    const body = Buffer.from(await encoded.arrayBuffer());
    return plain('POST', url, { body, headers: { 'Content-Type': encoded.headers.get('content-type') } });
  }

  it('stores, reads, copies and deletes objects', async () => {
    for (const key of trickyKeys) {
      await put(key, `body of ${key}`);
      assert.equal((await get(key)).toString(), `body of ${key}`);
      assert.equal((await head(key)).ContentLength, Buffer.byteLength(`body of ${key}`));
      assert.deepEqual(await list(key), [key]);
      await send(CopyObjectCommand, { Key: `copy of a+b/${key}`.slice(0, 850), CopySource: encodeURIComponent(`${Bucket}/${key}`) });
      assert.equal((await get(`copy of a+b/${key}`.slice(0, 850))).toString(), `body of ${key}`);
      await send(DeleteObjectCommand, { Key: key });
      await assert.rejects(head(key), { name: 'NotFound' });
    }
    await put('empty', '');
    assert.deepEqual([(await get('empty')).length, (await head('empty')).ContentLength], [0, 0]);
    await put('digits', '0123456789');
    assert.equal((await get('digits', { Range: 'bytes=2-4' })).toString(), '234');
    await assert.rejects(get('none'), { name: 'NoSuchKey' });
    await deleteMany(await list(''));
    assert.deepEqual(await list(''), []);
  });

  it('keeps metadata, tags, storage class and ACL', async () => {
    await put('o', 'body', {
      Metadata: { color: 'deep blue' }, Tagging: 'a=1&b=x%20y', StorageClass: 'STANDARD_IA', ACL: 'public-read',
      ContentType: 'text/plain', ContentEncoding: 'gzip', CacheControl: 'no-store', ServerSideEncryption: 'AES256',
    });
    await send(CopyObjectCommand, { Key: 'copy', CopySource: `${Bucket}/o` });
    const tagsOf = async (Key) => (await send(GetObjectTaggingCommand, { Key })).TagSet;
    for (const key of ['o', 'copy']) {
      const { Metadata, ContentType, ContentEncoding, CacheControl } = await head(key);
      assert.deepEqual([Metadata, ContentType, ContentEncoding, CacheControl], [{ color: 'deep blue' }, 'text/plain', 'gzip', 'no-store']);
      assert.deepEqual(await tagsOf(key), [{ Key: 'a', Value: '1' }, { Key: 'b', Value: 'x y' }]);
    }
    assert.equal((await head('o')).StorageClass, 'STANDARD_IA');
    await send(CopyObjectCommand, { Key: 'replaced', CopySource: `${Bucket}/o`, MetadataDirective: 'REPLACE', Metadata: { color: 'red' }, StorageClass: 'INTELLIGENT_TIERING' });
    const replaced = await head('replaced');
    assert.deepEqual([replaced.Metadata, replaced.StorageClass], [{ color: 'red' }, 'INTELLIGENT_TIERING']);
    await send(PutObjectTaggingCommand, { Key: 'o', Tagging: { TagSet: [{ Key: 'c', Value: '3' }] } });
    assert.deepEqual(await tagsOf('o'), [{ Key: 'c', Value: '3' }]);
    await send(DeleteObjectTaggingCommand, { Key: 'o' });
    assert.deepEqual(await tagsOf('o'), []);
    assert.equal((await send(GetObjectAclCommand, { Key: 'o' })).Grants.length, 2);
    await send(PutObjectAclCommand, { Key: 'o', ACL: 'private' });
    assert.equal((await send(GetObjectAclCommand, { Key: 'o' })).Grants.length, 1);
  });

  for (const ChecksumAlgorithm of algorithms) {
    it(`sends ${ChecksumAlgorithm} of bodies, streams and parts`, async () => {
      const size = 6 * MiB;
      const body = large.subarray(0, size);
      await put('buffer', body, { ChecksumAlgorithm });
      await put('stream', stream(body), { ContentLength: size, ChecksumAlgorithm });
      await new Upload({ client: s3, params: { Bucket, Key: 'parts', Body: stream(body), ChecksumAlgorithm } }).done();
      for (const key of ['buffer', 'stream', 'parts']) {
        assert.ok((await get(key)).equals(body), key);
      }
    });
  }

  it('transfers 100 MB with default checksums', async () => {
    await put('large', large);
    assert.ok((await get('large')).equals(large), 'body');
    await put('large stream', stream(large), { ContentLength: large.length });
    assert.ok((await get('large stream')).equals(large), 'stream');
    const { ETag } = await new Upload({ client: s3, params: { Bucket, Key: 'large parts', Body: stream(large) } }).done();
    assert.match(ETag, /-20"$/); // parts of 5 MiB
    const size = 10 * MiB;
    const ranges = Array.from({ length: 10 }, (_, i) => get('large parts', { Range: `bytes=${i * size}-${(i + 1) * size - 1}` }));
    assert.ok(Buffer.concat(await Promise.all(ranges)).equals(large), 'parts');
  });

  it('copies, lists and aborts parts', async () => {
    const Key = 'dir/parts of a+b';
    const part = large.subarray(0, MiB);
    await put('source a+b', part);
    const { UploadId } = await send(CreateMultipartUploadCommand, { Key });
    const first = await send(UploadPartCommand, { Key, UploadId, PartNumber: 1, Body: part });
    const second = await send(UploadPartCopyCommand, {
      Key, UploadId, PartNumber: 2, CopySource: encodeURIComponent(`${Bucket}/source a+b`), CopySourceRange: `bytes=0-${MiB / 2 - 1}`,
    });
    assert.deepEqual((await send(ListPartsCommand, { Key, UploadId })).Parts.map((p) => p.Size), [MiB, MiB / 2]);
    assert.deepEqual((await send(ListMultipartUploadsCommand, { Prefix: 'dir/' })).Uploads.map((u) => u.UploadId), [UploadId]);
    const Parts = [{ PartNumber: 1, ETag: first.ETag, ChecksumCRC32: first.ChecksumCRC32 }, { PartNumber: 2, ETag: second.CopyPartResult.ETag }];
    await send(CompleteMultipartUploadCommand, { Key, UploadId, MultipartUpload: { Parts } });
    assert.ok((await get(Key)).equals(Buffer.concat([part, part.subarray(0, MiB / 2)])));
    const aborted = await send(CreateMultipartUploadCommand, { Key });
    await send(AbortMultipartUploadCommand, { Key, UploadId: aborted.UploadId });
    assert.equal((await send(ListMultipartUploadsCommand)).Uploads, undefined);
  });

  it('lists and deletes 2500 keys', async () => {
    const keys = Array.from({ length: 2500 }, (_, i) => `many/${Math.floor(i / 1000)}/key-${String(i).padStart(4, '0')}`);
    const left = [...keys];
    await Promise.all(Array.from({ length: 32 }, async () => {
      while (left.length > 0) {
        await put(left.pop(), 'x');
      }
    }));
    assert.deepEqual(await list('many/'), keys);
    const listed = [];
    for (let Marker, page; !page || page.IsTruncated; Marker = page.NextMarker ?? listed.at(-1)) {
      page = await send(ListObjectsCommand, { Prefix: 'many/', Marker });
      listed.push(...page.Contents.map((o) => o.Key));
    }
    assert.deepEqual(listed, keys);
    const folders = await send(ListObjectsCommand, { Prefix: 'many/', Delimiter: '/' });
    assert.deepEqual(folders.CommonPrefixes.map((p) => p.Prefix), ['many/0/', 'many/1/', 'many/2/']);
    await deleteMany(keys);
    assert.deepEqual(await list('many/'), []);
  });

  it('presigns URLs', async () => {
    for (const Key of ['pre signed', 'a+b', 'a%2Fb', '中文/ü']) {
      const toPut = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key, Metadata: { color: 'red' }, StorageClass: 'STANDARD_IA' }));
      const stored = await plain('PUT', toPut, { body: 'presigned' });
      assert.equal(stored.status, 200, stored.body);
      const got = await plain('GET', await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key, ResponseContentType: 'text/x' })));
      assert.deepEqual([got.status, got.body, got.headers['x-amz-meta-color'], got.headers['content-type']], [200, 'presigned', 'red', 'text/x']);
      assert.equal((await head(Key)).StorageClass, 'STANDARD_IA');
    }
  });

  it('presigns forms', async () => {
    const form = (Key, Expires = 60) => createPresignedPost(s3, {
      Bucket, Key, Expires,
      Fields: { 'Content-Type': 'text/plain', 'x-amz-meta-color': 'blue', success_action_status: '201' },
      Conditions: [['content-length-range', 1, 100]],
    });
    const key = 'posted a+b/中文';
    const stored = await post(await form(key), 'body');
    assert.equal(stored.status, 201, stored.body);
    assert.equal((await get(key)).toString(), 'body');
    const { Metadata, ContentType } = await head(key);
    assert.deepEqual([Metadata, ContentType], [{ color: 'blue' }, 'text/plain']);

    const violations = [
      { name: 'large file', file: 'x'.repeat(101), status: 400, code: 'EntityTooLarge' },
      { name: 'empty file', file: '', status: 400, code: 'EntityTooSmall' },
      { name: 'other metadata', fields: { 'x-amz-meta-color': 'red' }, status: 403, code: 'AccessDenied' },
      { name: 'further field', fields: { acl: 'public-read' }, status: 403, code: 'AccessDenied' },
      { name: 'expired', expires: -1, status: 403, code: 'AccessDenied' },
    ];
    for (const { name, file = 'body', fields, expires, status, code } of violations) {
      const { url, fields: signed } = await form(name, expires);
      const refused = await post({ url, fields: { ...signed, ...fields } }, file);
      assert.equal(refused.status, status, `${name}: ${refused.body}`);
      assert.match(refused.body, new RegExp(`<Code>${code}</Code>`), name);
      assert.deepEqual(await list(name), [], name);
    }
  });

  it('names the bucket', async () => {
    assert.equal((await send(HeadBucketCommand)).BucketRegion, process.env.COSPROXY_REGION);
    assert.deepEqual((await s3.send(new ListBucketsCommand())).Buckets.map((b) => b.Name), [Bucket]);
  });

  it('names what COS does not have', async () => {
    await put('plain', 'body');
    await assert.rejects(
      send(GetObjectAttributesCommand, { Key: 'plain', ObjectAttributes: ['ETag'] }),
      { name: 'NotImplemented', message: /GetObjectAttributes/ },
    );
  });

  it('leaves no objects', async () => {
    await deleteMany(await list(''));
    assert.deepEqual(await list(''), []);
  });
}
