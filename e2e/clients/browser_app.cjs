// A small page with Sentry's browser SDK in headless Chromium. Argument: a plan as JSON. The SDK's modules are served as
// npm has them, by an import map: nothing is bundled. Its last line is JSON: the ids of what the page sent.
const { spawn } = require('child_process');
const fs = require('fs');
const http = require('http');
const path = require('path');

const plan = JSON.parse(process.argv[2]);
const modules = path.join(plan.folder, 'node_modules');
const deadlineMs = 20000;

// The names that modules are imported by, with the addresses of their files.
function importMap() {
  const imports = {};
  const scoped = fs.readdirSync(path.join(modules, '@sentry')).map((name) => `@sentry/${name}`);
  const others = fs.readdirSync(modules).filter((name) => /^[a-z]/.test(name));
  for (const name of [...scoped, ...others]) {
    const about = JSON.parse(fs.readFileSync(path.join(modules, name, 'package.json')));
    for (const [entry, ways] of Object.entries(about.exports || {})) {
      const file = ways.import && (ways.import.default || ways.import);
      if (typeof file === 'string') imports[path.posix.join(name, entry)] = `/${path.posix.join(name, file)}`;
    }
    if (about.module) imports[name] = `/${path.posix.join(name, about.module)}`;
  }
  return { imports };
}

const page = `<!doctype html><html><head><meta charset="utf-8"><title>Shop</title>
<script type="importmap">${JSON.stringify(importMap())}</script></head>
<body><button id="pay">Pay</button><script type="module" src="/app.js"></script></body></html>`;

const app = `
import * as Sentry from '@sentry/browser';
const sent = { version: Sentry.SDK_VERSION };
const names = { PaymentError: 'exception', RangeError: 'unhandled', TypeError: 'rejection' };
Sentry.init({
  dsn: ${JSON.stringify(plan.dsn)}, release: 'shop-front@5.1.0', environment: 'production', sendDefaultPii: true,
  beforeSend(event) {
    const thrown = event.exception && event.exception.values[event.exception.values.length - 1];
    sent[(thrown && names[thrown.type]) || 'message'] = event.event_id;
    return event;
  },
});
class PaymentError extends Error { constructor(m, o) { super(m, o); this.name = 'PaymentError'; } }
function charge(order) { return order.card.number; }
Sentry.setUser({ id: 'c3', email: 'cara@example.org' });
Sentry.setTag('basket', 'summer');
document.getElementById('pay').click();
await fetch('/none.json').catch(() => {});
try {
  try { charge({}); } catch (cause) { throw new PaymentError('card was refused', { cause }); }
} catch (error) { Sentry.captureException(error); }
Sentry.captureMessage('plain message of a browser', 'warning');
setTimeout(() => { throw new RangeError('basket is too large'); }, 0);
setTimeout(() => Promise.reject(new TypeError('no such basket')), 0);
await new Promise((resolve) => setTimeout(resolve, 100));
const flushed = await Sentry.flush(5000);
await fetch('/sent', { method: 'POST', body: JSON.stringify({ ...sent, flushed }) });
`;

function serve(request, response) {
  const { pathname } = new URL(request.url, 'http://page');
  const answer = (type, body) => { response.setHeader('Content-Type', type); response.end(body); };
  if (pathname === '/') return answer('text/html', page);
  if (pathname === '/app.js') return answer('text/javascript', app);
  if (pathname === '/sent') {
    let body = '';
    request.on('data', (chunk) => { body += chunk; });
    request.on('end', () => { answer('text/plain', 'ok'); end(0, body); });
    return;
  }
  const file = path.join(modules, path.normalize(pathname));
  if (!file.startsWith(modules) || !fs.existsSync(file)) { response.statusCode = 404; return response.end(); }
  answer('text/javascript', fs.readFileSync(file));
}

let browser;
function end(code, text) {
  if (browser) browser.kill();
  (code === 0 ? console.log : console.error)(text);
  process.exit(code);
}

const server = http.createServer(serve).listen(0, '127.0.0.1', () => {
  const flags = [
    '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', `--user-data-dir=${plan.profile}`,
    `http://127.0.0.1:${server.address().port}/`,
  ];
  browser = spawn(plan.chromium, flags, { stdio: 'ignore' });
  browser.on('error', (error) => end(1, error.message));
  setTimeout(() => end(1, `the page sent nothing within ${deadlineMs} ms`), deadlineMs);
});
