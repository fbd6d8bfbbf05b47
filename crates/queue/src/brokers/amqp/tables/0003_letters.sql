-- Lists of letters are paged by when they stopped, then by id; whoever counts them reads names without what is beside them.
DROP INDEX queue_letter_at;
CREATE INDEX queue_letter_order ON queue_letter (at, id);
CREATE INDEX queue_letter_of_queue ON queue_letter (queue, at, id);
CREATE INDEX queue_letter_name ON queue_letter (id, queue, enqueued_at);
