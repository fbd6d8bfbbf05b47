-- Bounds are counted from an index alone. It does not name the state: then it would be written anew at each step of a job.
-- What has ended is counted apart and taken off.
DROP INDEX queue_job_key;
CREATE INDEX queue_job_size ON queue_job (fairness_key, bytes);
CREATE INDEX queue_job_ended ON queue_job (changed_at, fairness_key, bytes) WHERE state = 6;
-- What is being sent is few at any time, and so is what waits in queues that Python programs touch: each of these is one
-- lane of its own name.
CREATE INDEX queue_job_sending ON queue_job (changed_at) WHERE state = 1;
CREATE INDEX queue_job_shared ON queue_job (queue, changed_at) WHERE state = 2 AND lane = queue;
