package page

import (
	"crypto/sha256"
	"encoding/hex"
)

// ChunkHash is what a chunk is known by within its page: the first 128 bits of the SHA-256 of the
// titles above it and of its content, in hex.
func ChunkHash(headingPath []string, content string) string {
	n := len(content) + 1
	for _, title := range headingPath {
		n += len(title) + 1
	}
	hashed := make([]byte, 0, n)
	for _, title := range headingPath {
		hashed = append(append(hashed, title...), '\x1f')
	}
	hashed = append(append(hashed, '\x1e'), content...)
	sum := sha256.Sum256(hashed)
	return hex.EncodeToString(sum[:16])
}
