// A small application with Sentry's Node SDK. Arguments: the SDK's folder, the DSN. Its last line is JSON: the ids of
// what it sent.
const Sentry = require(process.argv[2]);
Sentry.init({ dsn: process.argv[3], release: 'shop@2.1.0', environment: 'production' });

class PaymentError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = 'PaymentError';
  }
}

function redeem(voucher) {
  throw new TypeError('no such voucher: ' + voucher);
}

(async () => {
  const sent = { version: Sentry.SDK_VERSION };
  Sentry.setUser({ id: 'u7' });
  Sentry.setTag('area', 'pay');
  Sentry.addBreadcrumb({ category: 'ui.click', message: 'button#pay', level: 'info' });
  try {
    try {
      redeem('v-1');
    } catch (cause) {
      throw new PaymentError('voucher is spent', { cause });
    }
  } catch (error) {
    sent.exception = Sentry.captureException(error);
  }
  sent.message = Sentry.captureMessage('plain message of node', 'warning');
  await Sentry.flush(5000);
  console.log(JSON.stringify(sent));
  process.exit(0);
})();
