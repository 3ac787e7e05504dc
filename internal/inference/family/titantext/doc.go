// Package titantext is the codec of Amazon Titan Text.
//
//	{"inputText": "User: …\nBot:", "textGenerationConfig": {…}} ──▶ turns ──▶ results[0].outputText
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package titantext
