// The official Node SDK as a client of cosproxy: default settings except
// the address or the proxy, and dummy credentials: only the sidecar can sign the requests.
//
//   cosemu -- node test.mjs path/to/cosproxy
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import COSv2 from 'cos-sdk-v2';
import COSv3 from 'cos-sdk-v3';
import { startSidecar } from './sidecar.mjs';

const Bucket = process.env.COSPROXY_BUCKET;
const Region = process.env.COSPROXY_REGION;
const MiB = 1 << 20;

// Object keys that other proxies change.
const trickyKeys = [
  'plain.txt',
  'dir//file',
  'a/./b',
  'a/../b',
  'literal%2Fescape',
  'percent%25',
  'blank and+plus',
  '目录/文件 名(腾讯云).txt',
  'semi;colon&ampersand=equals?question#hash',
  '!$\'()*,:@~_-.[]{}|^"<>`\\end',
  'folder/',
  'k'.repeat(850),
];

let proxy;
let address;

before(async () => {
  proxy = await startSidecar(process.argv[2]);
  address = proxy.address;
});

after(async () => assert.equal(await proxy.stop(), 0, 'exit code after SIGTERM'));

// The configurations in the README.
const configurations = [
  { name: 'Node SDK by Domain', options: () => ({ Domain: address, Protocol: 'http:' }) },
  { name: 'Node SDK by Proxy', options: () => ({ Proxy: `http://${address}`, Protocol: 'http:' }) },
];
const versions = [['2.15.4', COSv2], ['3.0.0', COSv3]];

// fetchBy requests a URL with the proxy of the client.
function fetchBy(way, url, { method = 'GET', body, headers = {} } = {}) {
  const target = new URL(url);
  const proxied = way.options().Proxy;
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const req = httpRequest({
      host, port, method,
      path: proxied ? url : target.pathname + target.search,
      headers: { Host: target.host, ...headers, ...(body && { 'Content-Length': Buffer.byteLength(body) }) },
    }, async (res) => {
      const chunks = await res.toArray();
      resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks).toString() });
    });
    req.on('error', reject);
    req.end(body);
  });
}

for (const [[version, COS], way] of versions.flatMap((v) => configurations.map((w) => [v, w]))) {
  describe(`cos-nodejs-sdk-v5 ${version}, ${way.name}`, () => {
    let cos;
    before(() => {
      cos = new COS({ SecretId: 'dummy-id', SecretKey: 'dummy-key', ...way.options() });
    });
    const key = (name) => `${way.name.split(' ').pop()}-${version}/${name}`;

    for (const name of trickyKeys) {
      it(`keeps the key ${JSON.stringify(name.slice(0, 40))}`, async () => {
        const Key = name.length === 850 ? name : key(name);
        const body = Buffer.from(`body of ${name}`);
        await cos.putObject({ Bucket, Region, Key, Body: body });
        const got = await cos.getObject({ Bucket, Region, Key });
        assert.deepEqual(got.Body, body);
        const head = await cos.headObject({ Bucket, Region, Key });
        assert.equal(Number(head.headers['content-length']), body.length);
        const list = await cos.getBucket({ Bucket, Region, Prefix: Key });
        assert.deepEqual(list.Contents.map((c) => c.Key), [Key]);
        await cos.deleteObject({ Bucket, Region, Key });
        await assert.rejects(cos.headObject({ Bucket, Region, Key }), (e) => e.statusCode === 404);
      });
    }

    it('keeps metadata and returns COS headers', async () => {
      const Key = key('meta');
      const put = await cos.putObject({
        Bucket, Region, Key, Body: 'x', ContentType: 'text/x-test', CacheControl: 'max-age=60', 'x-cos-meta-colour': 'blue',
      });
      assert.match(put.ETag, /^"[0-9a-f]{32}"$/);
      const head = await cos.headObject({ Bucket, Region, Key });
      assert.equal(head.headers['x-cos-meta-colour'], 'blue');
      assert.equal(head.headers['content-type'], 'text/x-test');
      assert.ok(head.headers['x-cos-request-id']);
    });

    it('uploads a stream and reads a range', async () => {
      const Key = key('stream');
      const body = randomBytes(3 * MiB);
      await cos.putObject({ Bucket, Region, Key, Body: Readable.from([body]), ContentLength: body.length });
      const part = await cos.getObject({ Bucket, Region, Key, Range: 'bytes=100-199' });
      assert.equal(part.statusCode, 206);
      assert.deepEqual(part.Body, body.subarray(100, 200));
    });

    it('uploads in parts through its high-level call', async () => {
      const dir = mkdtempSync(join(tmpdir(), 'cosproxy-node-'));
      try {
        const FilePath = join(dir, 'large');
        const body = randomBytes(5 * MiB + 123);
        writeFileSync(FilePath, body);
        const Key = key('multipart');
        await cos.sliceUploadFile({ Bucket, Region, Key, FilePath, SliceSize: MiB, ChunkSize: MiB });
        const Output = join(dir, 'back');
        await cos.getObject({ Bucket, Region, Key, Output });
        const digest = (b) => createHash('sha256').update(b).digest('hex');
        assert.equal(digest(readFileSync(Output)), digest(body));
      } finally {
        rmSync(dir, { recursive: true });
      }
    });

    it('copies, lists with a delimiter and deletes many', async () => {
      const source = key('many/source one+two');
      await cos.putObject({ Bucket, Region, Key: source, Body: 'copy me' });
      const CopySource = `${Bucket}.cos.${Region}.myqcloud.com/${encodeURIComponent(source)}`;
      await cos.putObjectCopy({ Bucket, Region, Key: key('many/copy'), CopySource });
      const copied = await cos.getObject({ Bucket, Region, Key: key('many/copy') });
      assert.equal(copied.Body.toString(), 'copy me');

      const list = await cos.getBucket({ Bucket, Region, Prefix: key(''), Delimiter: '/' });
      assert.ok(list.CommonPrefixes.some((p) => p.Prefix === key('many/')));

      const Objects = [{ Key: source }, { Key: key('many/copy') }];
      const deleted = await cos.deleteMultipleObject({ Bucket, Region, Objects });
      assert.equal(deleted.Deleted.length, 2);
      const left = await cos.getBucket({ Bucket, Region, Prefix: key('many/') });
      assert.deepEqual(left.Contents, []);
    });

    it('uploads files by its other high-level calls', async () => {
      const dir = mkdtempSync(join(tmpdir(), 'cosproxy-node-'));
      try {
        const small = join(dir, 'small');
        const large = join(dir, 'large');
        writeFileSync(small, 'small file');
        writeFileSync(large, randomBytes(3 * MiB + 1));
        await cos.uploadFile({ Bucket, Region, Key: key('file'), FilePath: small });
        const result = await cos.uploadFiles({
          SliceSize: MiB,
          files: [
            { Bucket, Region, Key: key('files/small'), FilePath: small },
            { Bucket, Region, Key: key('files/large'), FilePath: large },
          ],
        });
        assert.deepEqual(result.files.map((f) => f.error), [null, null]);
        assert.equal((await cos.getObject({ Bucket, Region, Key: key('file') })).Body.toString(), 'small file');
        assert.deepEqual((await cos.getObject({ Bucket, Region, Key: key('files/large') })).Body, readFileSync(large));
        const parts = await cos.sliceCopyFile({
          Bucket, Region, Key: key('files/copy'), CopySliceSize: MiB, CopyChunkSize: MiB,
          CopySource: `${Bucket}.cos.${Region}.myqcloud.com/${encodeURIComponent(key('files/large'))}`,
        });
        assert.ok(parts.ETag);
        assert.deepEqual((await cos.getObject({ Bucket, Region, Key: key('files/copy') })).Body, readFileSync(large));
      } finally {
        rmSync(dir, { recursive: true });
      }
    });

    it('creates presigned URLs with dummy credentials', async () => {
      const Key = key('presigned a+b');
      for (const SecurityToken of [undefined, 'dummy-token']) {
        const signing = new COS({ SecretId: 'dummy-id', SecretKey: 'dummy-key', SecurityToken, ...way.options() });
        const url = (options) => signing.getObjectUrl({ Bucket, Region, Key, Sign: true, ...options }, () => {});
        const put = await fetchBy(way, url({ Method: 'PUT' }), { method: 'PUT', body: 'by URL' });
        assert.equal(put.status, 200, put.body);
        const signed = url({ Method: 'GET', Query: { 'response-content-type': 'text/x' } });
        assert.match(signed, /q-ak=dummy-id/);
        const got = await fetchBy(way, signed);
        assert.equal(got.body, 'by URL');
        assert.equal(got.headers['content-type'], 'text/x');
        assert.equal((await fetchBy(way, url({ Method: 'GET' }), { headers: { Range: 'bytes=3-5' } })).body, 'URL');
      }
    });

    it('appends, tags, and changes the ACL', async () => {
      const Key = key('log');
      const first = await cos.appendObject({ Bucket, Region, Key, Position: 0, Body: 'one ' });
      const Position = Number(first.headers['x-cos-next-append-position']);
      await cos.appendObject({ Bucket, Region, Key, Position, Body: 'two' });
      assert.equal((await cos.getObject({ Bucket, Region, Key })).Body.toString(), 'one two');
      await cos.putObjectTagging({ Bucket, Region, Key, Tags: [{ Key: 'k', Value: 'v' }] });
      assert.deepEqual((await cos.getObjectTagging({ Bucket, Region, Key })).Tags, [{ Key: 'k', Value: 'v' }]);
      await cos.putObjectAcl({ Bucket, Region, Key, ACL: 'public-read' });
      assert.equal((await cos.getObjectAcl({ Bucket, Region, Key })).ACL, 'public-read');
    });

    if (way.name === 'Node SDK by Proxy') {
      it('lists the buckets of the account', async () => {
        assert.deepEqual((await cos.getService({})).Buckets.map((b) => b.Name), [Bucket]);
      });
    }

    it('returns the error of COS unchanged', async () => {
      await assert.rejects(cos.getObject({ Bucket, Region, Key: key('missing') }), (e) => e.code === 'NoSuchKey' && e.statusCode === 404);
    });
  });
}
