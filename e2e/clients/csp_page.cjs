// A page whose content security policy forbids an inline script and an image, in headless Chromium. What the browser
// reports goes on to Vigie as it came, head and body. Argument: a plan as JSON. Its last line is JSON: the answers.
const { spawn } = require('child_process');
const http = require('http');

const plan = JSON.parse(process.argv[2]);
const deadlineMs = 20000;
const policy = "default-src 'self'; script-src 'self'; img-src 'self'; report-uri /report";
const page = `<!doctype html><html><head><meta charset="utf-8"><title>Shop</title></head>
<body><script>document.title = 'not run';</script><img src="http://127.0.0.1:9/evil.png" alt=""></body></html>`;
const answers = [];
let browser;

function end(error) {
  if (browser) browser.kill();
  if (error) console.error(error);
  else console.log(JSON.stringify({ answers }));
  process.exit(error ? 1 : 0);
}

function pass(request, response) {
  const onward = http.request(plan.target, { method: 'POST', headers: request.headers }, (answer) => {
    answers.push(answer.statusCode);
    answer.resume();
    response.writeHead(answer.statusCode).end();
    if (answers.length === 2) end();
  });
  onward.on('error', (error) => end(error.message));
  request.pipe(onward);
}

const server = http.createServer((request, response) => {
  if (request.url === '/report') return pass(request, response);
  response.writeHead(200, { 'Content-Type': 'text/html', 'Content-Security-Policy': policy }).end(page);
});
server.listen(0, '127.0.0.1', () => {
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', `--user-data-dir=${plan.profile}`];
  browser = spawn(plan.chromium, [...flags, '--remote-debugging-port=0', `http://127.0.0.1:${server.address().port}/`], { stdio: 'ignore' });
});
setTimeout(() => end(`only ${answers.length} reports came within ${deadlineMs} ms`), deadlineMs).unref();
