// Package metric owns what is counted, in two forms: series for operators
// (Prometheus) and the datapoints that CloudWatch would have in AWS/Bedrock.
//
//	rooms ── Counter, Gauge, Histogram ────────────────────────────┐
//	inference ── Record(Invocation) ─▶ lane of the model's series ─┼─▶ /metrics (read at scrape)
//	                                     └ each minute ─▶ ring ────┴─▶ Points ─▶ CloudWatch face, its store
//	delivery ── Put(Sample) ─▶ its own ring ───────────────────────▶
//
// An invocation is written once: the Prometheus form is computed from the same
// lanes when somebody scrapes. A lane is one of a few copies of a series, chosen
// at random, so that requests on other cores rarely meet at its lock.
//
// Floor 2. It never persists, never alarms and never fails a request.
package metric
