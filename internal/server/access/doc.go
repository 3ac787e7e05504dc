// Package access is what stands between the wire and the identities: who signed a
// request, and what that principal may do.
//
//	gateway ──▶ Signatures ──▶ sigv4 ──▶ Keys ──▶ iam
//	        └─▶ Gate ──▶ Permissions ──────────▶ iam, with the tags of resources from store
//
// Floor 5. It keeps nothing and decides nothing itself: sigv4 verifies, iam judges. The
// tests of the neighbours put the same types around their faces as the server does.
package access
