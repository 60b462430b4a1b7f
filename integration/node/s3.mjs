// The AWS SDK for JavaScript as a client of cosproxy: default settings except the endpoint,
// path style, and a dummy key pair.
//
//   cosemu -- node s3.mjs path/to/cosproxy
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, before, it } from 'node:test';
import {
  CopyObjectCommand, DeleteObjectCommand, DeleteObjectsCommand, GetObjectAclCommand, GetObjectAttributesCommand, GetObjectCommand,
  GetObjectTaggingCommand, HeadObjectCommand, ListObjectsCommand, ListObjectsV2Command, PutObjectCommand, S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { startSidecar } from './sidecar.mjs';

const Bucket = process.env.COSPROXY_BUCKET;
const trickyKeys = ['plain', 'a b', 'a+b', 'a%2Fb', 'a//b', 'dir/', '中文/ü', "~*'()!$&,;=:@", 'a?b#c', '%', '"<>\\^{|}`', 'tail '];

let proxy;
let s3;

before(async () => {
  proxy = await startSidecar(process.argv[2]);
  s3 = new S3Client({
    endpoint: `http://${proxy.address}`, region: 'ap-guangzhou', forcePathStyle: true, maxAttempts: 1,
    credentials: { accessKeyId: 'dummy', secretAccessKey: 'dummy' },
  });
});

after(async () => {
  s3.destroy();
  assert.equal(await proxy.stop(), 0, 'exit code after SIGTERM');
});

const put = (Key, Body, more) => s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));

async function get(Key, more) {
  const got = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from(await got.Body.transformToByteArray());
}

it('stores and reads objects', async () => {
  for (const key of trickyKeys) {
    await put(key, `body of ${key}`);
    assert.equal((await get(key)).toString(), `body of ${key}`);
  }
  await put('empty', '');
  assert.equal((await get('empty')).length, 0);
  assert.equal((await get('plain', { Range: 'bytes=1-3' })).toString(), 'ody');
  await assert.rejects(get('none'), { name: 'NoSuchKey' });
  await s3.send(new DeleteObjectCommand({ Bucket, Key: 'empty' }));
  await assert.rejects(get('empty'), { name: 'NoSuchKey' });
});

it('keeps metadata, tags, storage class and ACL', async () => {
  await put('o', 'body', { Metadata: { color: 'deep blue' }, Tagging: 'a=1&b=2', StorageClass: 'STANDARD_IA', ContentType: 'text/plain', ACL: 'public-read' });
  await s3.send(new CopyObjectCommand({ Bucket, Key: 'copy a+b', CopySource: `${Bucket}/o` }));
  for (const Key of ['o', 'copy a+b']) {
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key }));
    assert.deepEqual([head.Metadata, head.ContentType], [{ color: 'deep blue' }, 'text/plain']);
    const tags = await s3.send(new GetObjectTaggingCommand({ Bucket, Key }));
    assert.equal(tags.TagSet.length, 2);
  }
  assert.equal((await s3.send(new HeadObjectCommand({ Bucket, Key: 'o' }))).StorageClass, 'STANDARD_IA');
  const acl = await s3.send(new GetObjectAclCommand({ Bucket, Key: 'o' }));
  assert.equal(acl.Grants.length, 2);
});

it('sends streams with checksums, and parts', async () => {
  const body = randomBytes(12 << 20);
  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256']) {
    await put('stream', Readable.from(body.subarray(0, 3 << 20)), { ContentLength: 3 << 20, ChecksumAlgorithm });
    assert.ok((await get('stream')).equals(body.subarray(0, 3 << 20)), ChecksumAlgorithm);
  }
  await new Upload({ client: s3, params: { Bucket, Key: 'parts', Body: Readable.from(body) } }).done();
  assert.ok((await get('parts')).equals(body));
});

it('lists and deletes many keys', async () => {
  const keys = Array.from({ length: 45 }, (_, i) => `many/${String(i).padStart(3, '0')}`);
  await Promise.all(keys.map((key) => put(key, 'x')));
  let listed = [];
  for (let ContinuationToken; ;) {
    const page = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'many/', MaxKeys: 20, ContinuationToken }));
    listed = listed.concat(page.Contents.map((o) => o.Key));
    if (!page.IsTruncated) {
      break;
    }
    ContinuationToken = page.NextContinuationToken;
  }
  assert.deepEqual(listed, keys);
  const page = await s3.send(new ListObjectsCommand({ Bucket, Prefix: 'many/', MaxKeys: 20, Marker: keys[29] }));
  assert.deepEqual(page.Contents.map((o) => o.Key), keys.slice(30));
  const deleted = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }));
  assert.equal(deleted.Deleted.length, keys.length);
});

it('presigns URLs', async () => {
  const toPut = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: 'pre signed', Metadata: { color: 'red' } }));
  const stored = await fetch(toPut, { method: 'PUT', body: 'presigned' });
  assert.equal(stored.status, 200, await stored.text());
  const got = await fetch(await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'pre signed' })));
  assert.deepEqual([await got.text(), got.headers.get('x-amz-meta-color')], ['presigned', 'red']);
});

it('names what COS does not have', async () => {
  await assert.rejects(
    s3.send(new GetObjectAttributesCommand({ Bucket, Key: 'plain', ObjectAttributes: ['ETag'] })),
    { name: 'NotImplemented', message: /GetObjectAttributes/ },
  );
});
