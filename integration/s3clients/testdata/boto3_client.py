"""Uses boto3 with its default settings through cosproxy.

Arguments: bucket, endpoint, style (path, virtual), proxy or "". Credentials and the
CA bundle are in the environment. The exit code is not 0 if an operation fails.
"""
import hashlib
import io
import os
import sys
import uuid
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from boto3.s3.transfer import TransferConfig

bucket, endpoint, style, proxy = sys.argv[1:5]
MIB = 1 << 20
TRICKY = ["plain", "a b", "a+b", "a%2Fb", "a//b", "dir/", "中文/ü", "~*'()!$&,;=:@", "a?b#c", "%", "..a/.b", '"<>\\^{|}`', "tail "]

proxies = {"http": proxy} if proxy else None
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="ap-guangzhou", config=Config(s3={"addressing_style": style}, proxies=proxies))
print("boto3", boto3.__version__, "python", sys.version.split()[0], endpoint, style)


def equal(what, got, want):
    if got != want:
        sys.exit(f"{what}: {got!r}, want {want!r}")


def get(key, **args):
    return s3.get_object(Bucket=bucket, Key=key, **args)["Body"].read()


def fails(what, code, call, **args):
    try:
        call(**args)
    except ClientError as e:
        equal(what, e.response["Error"]["Code"], code)
        return
    sys.exit(f"{what} does not fail")


def send(url, method, data, headers):
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    handlers = [urllib.request.ProxyHandler(proxies or {})]
    if url.startswith("https:"):
        import ssl
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])))
    return urllib.request.build_opener(*handlers).open(request, timeout=30)


def fetch(url, method="GET", data=None, headers={}):
    return send(url, method, data, headers).read()


def post(form, file, **changes):
    """Sends a form with its file last, and returns the status and the body of the response."""
    boundary = uuid.uuid4().hex
    data = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in {**form["fields"], **changes}.items())
    data += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a b.txt"\r\n\r\n'.encode()
    data += file + f"\r\n--{boundary}--\r\n".encode()
    try:
        response = send(form["url"], "POST", data, {"Content-Type": "multipart/form-data; boundary=" + boundary})
        return response.status, response.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


for key in TRICKY:
    body = ("body of " + key).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    equal(key, get(key), body)
    equal("HEAD " + key, s3.head_object(Bucket=bucket, Key=key)["ContentLength"], len(body))
    s3.copy_object(Bucket=bucket, Key="copy/" + key, CopySource={"Bucket": bucket, "Key": key})
    equal("copy of " + key, get("copy/" + key), body)
listed = s3.list_objects_v2(Bucket=bucket, Prefix="copy/")
equal("V2", sorted(o["Key"] for o in listed["Contents"]), sorted("copy/" + k for k in TRICKY))
listed = s3.list_objects(Bucket=bucket, Prefix="copy/")
equal("V1", sorted(o["Key"] for o in listed["Contents"]), sorted("copy/" + k for k in TRICKY))
deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": p + k} for k in TRICKY for p in ("", "copy/")]})
equal("deleted", (len(deleted["Deleted"]), deleted.get("Errors")), (2 * len(TRICKY), None))

s3.put_object(Bucket=bucket, Key="empty", Body=b"")
equal("empty", get("empty"), b"")
s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
equal("range", get("digits", Range="bytes=2-4"), b"234")
fails("GET of a missing object", "NoSuchKey", s3.get_object, Bucket=bucket, Key="none")
fails("HEAD of a missing object", "404", s3.head_object, Bucket=bucket, Key="none")
fails("attributes", "NotImplemented", s3.get_object_attributes, Bucket=bucket, Key="digits", ObjectAttributes=["ETag"])
s3.delete_object(Bucket=bucket, Key="digits")

s3.put_object(
    Bucket=bucket, Key="o", Body=b"body", Metadata={"color": "deep blue"}, StorageClass="STANDARD_IA", Tagging="a=1&b=x%20y", ACL="public-read",
    ContentType="text/plain", ContentEncoding="gzip", CacheControl="no-store", ServerSideEncryption="AES256")
head = s3.head_object(Bucket=bucket, Key="o")
equal("metadata", (head["Metadata"], head["StorageClass"], head["ContentType"], head["ContentEncoding"], head["CacheControl"]),
      ({"color": "deep blue"}, "STANDARD_IA", "text/plain", "gzip", "no-store"))
equal("tags", len(s3.get_object_tagging(Bucket=bucket, Key="o")["TagSet"]), 2)
s3.put_object_tagging(Bucket=bucket, Key="o", Tagging={"TagSet": [{"Key": "c", "Value": "3"}]})
equal("tags", s3.get_object_tagging(Bucket=bucket, Key="o")["TagSet"], [{"Key": "c", "Value": "3"}])
s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "o"}, MetadataDirective="REPLACE", Metadata={"color": "red"}, StorageClass="INTELLIGENT_TIERING")
head = s3.head_object(Bucket=bucket, Key="copy")
equal("copy", (head["Metadata"], head["StorageClass"]), ({"color": "red"}, "INTELLIGENT_TIERING"))
s3.delete_object_tagging(Bucket=bucket, Key="o")
equal("tags", s3.get_object_tagging(Bucket=bucket, Key="o")["TagSet"], [])
equal("ACL", len(s3.get_object_acl(Bucket=bucket, Key="o")["Grants"]), 2)
s3.put_object_acl(Bucket=bucket, Key="o", ACL="private")
equal("ACL", len(s3.get_object_acl(Bucket=bucket, Key="o")["Grants"]), 1)

many = [f"many/{i // 1000}/key-{i:04d}" for i in range(2500)]
for method, args in (("list_objects_v2", {}), ("list_objects", {})):
    pages = s3.get_paginator(method).paginate(Bucket=bucket, Prefix="many/")
    equal(method, [o["Key"] for page in pages for o in page["Contents"]], many)
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="many/", Delimiter="/", PaginationConfig={"PageSize": 2})
equal("prefixes", [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])], ["many/0/", "many/1/", "many/2/"])

large = os.urandom(100 * MIB)
s3.put_object(Bucket=bucket, Key="large", Body=large)
algorithms = s3.meta.service_model.operation_model("PutObject").input_shape.members["ChecksumAlgorithm"].enum
for algorithm in sorted({"CRC32", "SHA1", "SHA256"}.intersection(algorithms)):  # the others need the package awscrt
    s3.put_object(Bucket=bucket, Key="summed", Body=b"body", ChecksumAlgorithm=algorithm)
    s3.upload_fileobj(io.BytesIO(large[:9 * MIB]), bucket, "summed parts", ExtraArgs={"ChecksumAlgorithm": algorithm})
    equal(algorithm, (get("summed"), get("summed parts")), (b"body", large[:9 * MIB]))
s3.upload_fileobj(io.BytesIO(large[:24 * MIB]), bucket, "parts", Config=TransferConfig(multipart_threshold=8 * MIB))
for key, size in (("large", 100), ("parts", 24)):
    back = io.BytesIO()
    s3.download_fileobj(bucket, key, back)
    equal(key, hashlib.sha256(back.getvalue()).digest(), hashlib.sha256(large[:size * MIB]).digest())
s3.copy({"Bucket": bucket, "Key": "parts"}, bucket, "parts copied", Config=TransferConfig(multipart_threshold=8 * MIB))
equal("copy in parts", get("parts copied"), large[:24 * MIB])

v4 = boto3.client("s3", endpoint_url=endpoint, region_name="ap-guangzhou",
                  config=Config(signature_version="s3v4", s3={"addressing_style": style}, proxies=proxies))
for client in (s3, v4):  # the default signature of URLs and forms is V2 or V4, depending on the region
    for key in ("presigned", "a b+c", "中文/ü"):
        url = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key, "ContentType": "text/x"}, ExpiresIn=60)
        fetch(url, "PUT", b"by URL", {"Content-Type": "text/x"})
        url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=60)
        equal("presigned " + key, fetch(url), b"by URL")

    def form(key, expires=60):
        fields = {"Content-Type": "text/plain", "x-amz-meta-color": "blue", "acl": "public-read", "success_action_status": "201"}
        return client.generate_presigned_post(
            bucket, key, Fields=fields, ExpiresIn=expires,
            Conditions=[["starts-with", "$Content-Type", "text/"], ["content-length-range", 1, 100], {"x-amz-meta-color": "blue"},
                        {"acl": "public-read"}, {"success_action_status": "201"}])
    for key in ("posted", "posted a+b", "posted/中文"):
        status, text = post(form(key), b"body")
        equal("POST " + text, status, 201)
        head = s3.head_object(Bucket=bucket, Key=key)
        equal("posted", (get(key), head["Metadata"], head["ContentType"]), (b"body", {"color": "blue"}, "text/plain"))
        equal("ACL of the posted object", len(s3.get_object_acl(Bucket=bucket, Key=key)["Grants"]), 2)
    for name, form_, file, changes, want in (
        ("large file", form("refused"), b"x" * 101, {}, (400, "EntityTooLarge")),
        ("empty file", form("refused"), b"", {}, (400, "EntityTooSmall")),
        ("other key", form("refused"), b"body", {"key": "other"}, (403, "AccessDenied")),
        ("other type", form("refused"), b"body", {"Content-Type": "image/png"}, (403, "AccessDenied")),
        ("further field", form("refused"), b"body", {"x-amz-meta-size": "1"}, (403, "AccessDenied")),
        ("expired", form("refused", -1), b"body", {}, (403, "AccessDenied")),
    ):
        status, text = post(form_, file, **changes)
        equal(f"{name}: {text}", (status, f"<Code>{want[1]}</Code>" in text), (want[0], True))
        for key in ("refused", "other"):
            fails(name + " is stored", "NoSuchKey", s3.get_object, Bucket=bucket, Key=key)

equal("bucket", s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"], 200)
equal("location", s3.get_bucket_location(Bucket=bucket)["LocationConstraint"], "ap-guangzhou")
equal("buckets", [b["Name"] for b in s3.list_buckets()["Buckets"]], [bucket])

for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": o["Key"]} for o in page["Contents"]]})
    equal("deleted", (len(deleted["Deleted"]), deleted.get("Errors")), (len(page["Contents"]), None))
equal("objects that are left", s3.list_objects_v2(Bucket=bucket)["KeyCount"], 0)
