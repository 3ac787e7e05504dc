// Package turn runs one turn of an agent.
package turn
