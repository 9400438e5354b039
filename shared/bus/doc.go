// Package bus is how stages talk: events over NATS JetStream. It is the only package that
// knows NATS.
//
// # Subjects and messages
//
// An event is published to sluice.v1.<type>.<source id>, and progress to
// sluice.v1.progress.<source id>.<run id>. Its data is the event's JSON. Headers:
//
//	Nats-Msg-Id      identifies the publication, attempt included; a retry of the same is stored once
//	Sluice-Event     the event's type, page.fetched for example
//	Sluice-Encoding  zstd when the JSON is compressed
//	Sluice-Claim     the name of an object in the bucket SLUICE_CLAIMS, which holds what the data would
//
// Only pages.listed, page.fetched and page.converted are ever compressed, above 1 KiB, or
// left in the object store, when a message would be larger than the broker takes. The data
// of a message with a claim is what the bus needs without the body: the run and the pages.
// All other events are plain JSON. A message with none of these headers is plain JSON too,
// and its type is the subject's: any NATS client can ask for a sync by publishing
//
//	{"request_id": "nightly-7", "mode": "incremental"}
//
// to sluice.v1.sync.requested.<source id>.
//
// # Streams
//
// Topology declares every stream and durable consumer. Work is in WorkQueue streams, which
// refuse messages when they are full: Publish then waits, and with it the stage that wanted
// to publish, and so on up to the listing. Facts are in a stream that any number of readers
// can read. Apply makes it all, and makes it again when a broker comes back without its store.
//
// # What a handler returns
//
//	nil                the message is acknowledged
//	RetryAfter(err, d) it comes again after d; the attempt does not count
//	another error      it comes again after 1 s, 2 s, 4 s … 30 s; the last of MaxAttempts
//	                   (5) is permanent, with the error's code or failure.Exhausted
//	Permanent(err)     page.failed is published for each page that the payload names (or what
//	                   OnPermanent says is done), then the message is terminated
//	any error, while   it is handed back at once and does not count
//	  the consumer stops
//	a panic            permanent with failure.Panic; the stack is logged
//
// A page of a payload is its page, its pages or its page_id, each with a version. While
// page.failed cannot be published the message is not terminated but comes again.
//
// # Attempts
//
// The broker counts deliveries. Those that were parked or handed back are counted in the
// bucket SLUICE_UNCOUNTED and taken off. A process that dies gives no answer, so its delivery
// counts; a message that kills MaxAttempts processes is given up as failure.Crashed without
// another look at it. After the first, a page to be converted or written is handled while nothing
// else is, so that the pages beside one that kills are not counted for it: see Consumer.Alone.
//
// While a handler runs, the broker hears a sign of life every third of AckWait. A worker asks
// for one message at a time, so that no message waits in a process and nothing but the
// workers' own messages is in memory, and of these no more than 16 MiB of JSON a consumer, or one.
package bus
