// Package service holds the four front desks: one struct per AWS service that
// embeds the rooms answering it, and no logic.
//
//	Bedrock{ catalog.FoundationModels · … · unbuilt } ──implements──▶ bedrock.API
//
// A room's method is one level nearer than Unimplemented and so wins; two rooms
// with the same operation do not compile. Entrance floor; it imports rooms and
// generated interfaces, never adapters.
package service
