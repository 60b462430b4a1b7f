// Starts cosproxy with the settings that cosemu gives to its command.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

// startSidecar returns the address of a sidecar that allows everything, and a function that
// stops it and returns the exit code. environment are further settings.
export async function startSidecar(binary, environment = {}) {
  const proxy = spawn(binary, [], {
    env: { ...process.env, COSPROXY_ALLOW_ACTIONS: '*', COSPROXY_ALLOW_PREFIXES: '*', COSPROXY_LISTEN: '127.0.0.1:0', COSPROXY_ADMIN_LISTEN: '127.0.0.1:0', COSPROXY_LOG_FORMAT: 'json', ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise((resolve) => proxy.once('exit', resolve));
  const stop = () => {
    proxy.kill('SIGTERM');
    return ended;
  };
  for await (const line of createInterface({ input: proxy.stderr })) {
    const address = JSON.parse(line)['cosproxy.listen'];
    if (address) {
      proxy.stderr.resume(); // or the log fills the pipe
      return { address, stop };
    }
  }
  throw new Error('cosproxy ended before it listened');
}

// createCertificate returns a certificate for 127.0.0.1 that signs itself, the settings of
// cosproxy with it, and a function that removes its files. The generator is part of Go.
export function createCertificate() {
  const go = process.env.GO || 'go';
  const dir = mkdtempSync(join(tmpdir(), 'cosproxy-node-'));
  const goroot = execFileSync(go, ['env', 'GOROOT'], { encoding: 'utf8' }).trim();
  execFileSync(go, ['run', join(goroot, 'src/crypto/tls/generate_cert.go'), '--ca', '--ecdsa-curve=P256', '--host=127.0.0.1'], { cwd: dir, stdio: ['ignore', 'ignore', 'ignore'] });
  const environment = { COSPROXY_TLS_CERT_FILE: join(dir, 'cert.pem'), COSPROXY_TLS_KEY_FILE: join(dir, 'key.pem') };
  return { certificate: readFileSync(environment.COSPROXY_TLS_CERT_FILE), environment, remove: () => rmSync(dir, { recursive: true }) };
}
