// Package insurance is the worked example of an agent: one that answers questions
// on insurance claims by calling a function.
//
//	claims.yaml   what the action group can do, an OpenAPI document
//	claims.py     the function behind it, a Lambda handler
//	Draw          claims with facts drawn at random, so that an answer can hold
//	              them only if the function was really called
//
// Entrance floor, part of demo. The demonstration and the test of real models use it;
// it knows nothing of either.
package insurance
