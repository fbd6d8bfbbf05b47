# A small application with Sentry's Ruby SDK. Argument: the DSN. Its last line is JSON: the ids of what it sent.
require 'json'
require 'sentry-ruby'

Sentry.init do |config|
  config.dsn = ARGV[0]
  config.release = 'ledger@4.0.2'
  config.environment = 'production'
  config.background_worker_threads = 0
  config.logger = Logger.new($stderr)
end

class LedgerError < StandardError; end

def balance(rows)
  rows.sum / rows.length
end

def close_books(rows)
  balance(rows)
rescue ZeroDivisionError
  raise LedgerError, 'books of May do not close'
end

Sentry.set_user(id: 'b12', email: 'ruth@example.org')
Sentry.set_tags(branch: 'harbour')
Sentry.add_breadcrumb(Sentry::Breadcrumb.new(category: 'auth', message: 'opened the books'))
sent = { version: Sentry::VERSION }
begin
  close_books([])
rescue LedgerError => error
  sent[:exception] = Sentry.capture_exception(error).event_id
end
sent[:message] = Sentry.capture_message('plain message of ruby', level: :warning).event_id
puts JSON.generate(sent)
