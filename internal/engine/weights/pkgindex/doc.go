// Package pkgindex reads a Python package index as pip would: it finds the files
// of a project and fetches the one that was pinned.
//
//	PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, pip.conf ──▶ Settings ──▶ simple index (JSON or HTML) ──▶ Release file + SHA-256
//
// Floor 1. It runs no pip and no Python, resolves no dependencies, and installs
// nothing.
package pkgindex
