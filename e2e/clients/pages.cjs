// Opens pages in headless Chromium over its debugging pipe (no dependency). Argument: a plan as JSON. Its last line is
// JSON: how many views were looked at, and every problem.
const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');

const plan = JSON.parse(process.argv[2]);
const host = new URL(plan.url).host;
const widths = [1440, 390];
const schemes = ['light', 'dark'];
const problems = [];
const deadlineMs = 15000;

const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--remote-debugging-pipe', `--user-data-dir=${plan.profile}`,
];
const browser = spawn(plan.chromium, flags, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
const waiting = new Map();
const listeners = [];
let lastId = 0;
let rest = '';
browser.stdio[4].setEncoding('utf8');
browser.stdio[4].on('data', (chunk) => {
  const parts = (rest + chunk).split('\0');
  rest = parts.pop();
  parts.map(JSON.parse).forEach(receive);
});

function receive(message) {
  if (message.id && waiting.has(message.id)) {
    const { resolve, reject } = waiting.get(message.id);
    waiting.delete(message.id);
    return message.error ? reject(new Error(message.error.message)) : resolve(message.result);
  }
  listeners.forEach((listener) => listener(message));
}

function call(method, params = {}, sessionId) {
  const id = ++lastId;
  browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + '\0');
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

function event(name) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${name} did not come within ${deadlineMs} ms`)), deadlineMs);
    const listener = (message) => {
      if (message.method !== name) return;
      clearTimeout(timer);
      listeners.splice(listeners.indexOf(listener), 1);
      resolve(message.params);
    };
    listeners.push(listener);
  });
}

let view = 'start';
function watch(message) {
  const { method, params } = message;
  if (method === 'Runtime.exceptionThrown') problems.push(`${view}: exception ${params.exceptionDetails.text}`);
  if (method === 'Runtime.consoleAPICalled' && params.type === 'error') {
    problems.push(`${view}: console ${params.args.map((a) => a.value).join(' ')}`);
  }
  if (method === 'Log.entryAdded' && params.entry.level === 'error') {
    problems.push(`${view}: ${params.entry.text} ${params.entry.url || ''}`);
  }
  if (method === 'Network.requestWillBeSent') {
    const url = new URL(params.request.url);
    if (url.protocol.startsWith('http') && url.host !== host) problems.push(`${view}: request to ${url.host}`);
  }
  if (method === 'Network.responseReceived' && params.type === 'Document' && params.response.status >= 400) {
    problems.push(`${view}: status ${params.response.status}`);
  }
}

async function main() {
  const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
  const page = (method, params) => call(method, params, sessionId);
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page(`${domain}.enable`);
  listeners.push(watch);
  const evaluate = async (expression) => (await page('Runtime.evaluate', { expression, returnByValue: true })).result.value;
  const open = async (target) => {
    const loaded = event('Page.loadEventFired');
    await page('Page.navigate', { url: plan.url + target });
    await loaded;
  };
  const size = (width) =>
    page('Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: width < 600 });
  let views = 0;
  const look = async (name, width, scheme) => {
    const wide = await evaluate('document.documentElement.scrollWidth');
    if (wide > width) problems.push(`${view}: ${wide} px wide on a screen of ${width}`);
    if (!(await evaluate('document.title'))) problems.push(`${view}: no title`);
    const { data } = await page('Page.captureScreenshot', { format: 'png' });
    fs.writeFileSync(path.join(plan.screens, `${name}-${width}-${scheme}.png`), Buffer.from(data, 'base64'));
    views += 1;
  };
  const submit = async (fields) => {
    const loaded = event('Page.loadEventFired');
    await evaluate(`(() => {
      const form = document.querySelector('main form');
      for (const [name, value] of Object.entries(${JSON.stringify(fields)})) form.elements[name].value = value;
      form.requestSubmit(form.querySelector('button'));
    })()`);
    await loaded;
  };
  const everyWay = async (name, target, fields) => {
    for (const width of widths) {
      for (const scheme of schemes) {
        view = `${name} ${width} ${scheme}`;
        await size(width);
        await page('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
        await open(target);
        if (fields) await submit(fields);
        await look(name, width, scheme);
      }
    }
  };
  await everyWay('login', '/auth/login/');
  view = 'logging in';
  const loaded = event('Page.loadEventFired');
  await evaluate(`(() => {
    document.querySelector('input[name=email]').value = ${JSON.stringify(plan.email)};
    document.querySelector('input[name=password]').value = ${JSON.stringify(plan.password)};
    document.querySelector('input[name=password]').form.requestSubmit();
  })()`);
  await loaded;
  if (await evaluate('!!document.querySelector("input[name=password]")')) throw new Error('the login was refused');
  for (const [name, target, fields] of plan.pages) await everyWay(name, target, fields);
  console.log(JSON.stringify({ views, problems }));
}

main().then(
  () => { browser.kill(); process.exit(0); },
  (error) => { browser.kill(); console.error(`${view}: ${error.message}`); process.exit(1); },
);
