// Starts cosproxy with the settings that cosemu gives to its command.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

// startSidecar returns the address of a sidecar that allows everything, and a function that
// stops it and returns the exit code.
export async function startSidecar(binary) {
  const proxy = spawn(binary, [], {
    env: { ...process.env, COSPROXY_ALLOW_ACTIONS: '*', COSPROXY_ALLOW_PREFIXES: '*', COSPROXY_LISTEN: '127.0.0.1:0', COSPROXY_ADMIN_LISTEN: '127.0.0.1:0', COSPROXY_LOG_FORMAT: 'json' },
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
