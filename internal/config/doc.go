// Package config holds the settings of the server as one struct, of which the
// flags of `outcrop serve`, the environment variables OUTCROP_… and a YAML file
// are three spellings.
//
//	defaults ◀ file (--config) ◀ environment ◀ flags      the right one wins
//
// Every field has a usable zero value. Floor 0. It checks values and knows no
// other package.
package config
