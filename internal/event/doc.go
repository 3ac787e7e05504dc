// Package event owns what happened to resources, in EventBridge's form, and the
// bus that tells those in the house who listen.
//
//	rooms, outbox ─ Publish ─▶ Bus ─▶ subscriptions (own bounded queue each) ─▶ rules, console
//	                            └──▶ the last events, for the feed
//
// The bus is in memory. Delivery that outlives a crash is the outbox's affair: it
// publishes what was committed, again if need be, under the same ID.
//
// Floor 2. A slow listener loses events, counted, and slows nobody.
package event
