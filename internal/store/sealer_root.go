package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Where the root key of a data folder is kept. Everywhere but in InData the file
// root.key holds it wrapped, with AES-256-GCM under a key that lies elsewhere.
const (
	InData     = "data"       // in clear, readable by the owner of the folder alone
	InFile     = "file:"      // and a path: wrapped with a key in another file
	Passphrase = "passphrase" // wrapped with a key made of a passphrase (Argon2id)
	InKeyring  = "keyring"    // wrapped with a key in the keyring of the operating system
)

// RootConfig says where the root key is kept and how to get at it.
type RootConfig struct {
	Dir string // the data folder
	// Keep is InData, InFile and a path, Passphrase or InKeyring; "" leaves the key
	// where it is, which is InData in a new folder.
	Keep string
	// Passphrase asks for the passphrase, or for a new one. Nil: there is none.
	Passphrase func(ctx context.Context, renew bool) ([]byte, error)
	// Keyring is the operating system's; nil: there is none.
	Keyring Keyring
	// Renew wraps again although the key is kept there already: another passphrase.
	Renew bool
}

// Keyring keeps small secrets for a user.
type Keyring interface {
	Get(name string) (string, error)
	Set(name, secret string) error
}

// wrappedRoot is root.key when the key is not in clear.
type wrappedRoot struct {
	Format string `json:"format"`
	Keep   string `json:"keep"` // as in RootConfig
	// KeyID names the wrapping key of a file or keyring without telling it.
	KeyID   string      `json:"keyId,omitempty"`
	Entry   string      `json:"entry,omitempty"` // of the keyring
	Argon2  *argonParts `json:"argon2id,omitempty"`
	Nonce   string      `json:"nonce"`
	Wrapped string      `json:"wrapped"`
}

type argonParts struct {
	Time    uint32 `json:"time"`
	Memory  uint32 `json:"memoryKiB"`
	Threads uint8  `json:"threads"`
	Salt    string `json:"salt"`
}

const (
	wrappedFormat = "outcrop root key 1"

	// Argon2id as RFC 9106 recommends where memory is short: 64 MiB, three passes.
	argonTime, argonMemory, argonThreads = 3, 64 << 10, 4
	argonSalt                            = 16
	maxArgonTime, maxArgonMemory         = 100, 1 << 20

	leastPassphrase = 8 // bytes of a new one
)

// ErrRootKey says that the root key cannot be had: the passphrase is wrong, or the
// file or keyring entry with the wrapping key is gone or another's.
var ErrRootKey = errors.New("store: the root key cannot be opened")

// OpenRoot opens the root key of a data folder, makes it when there is none, and
// moves it when Keep says another place than where it is. The key itself stays the
// same, so all that was sealed with it can be read, and a crash leaves it in the old
// place or the new one.
func OpenRoot(ctx context.Context, c RootConfig) (*LocalSealer, error) {
	path := filepath.Join(c.Dir, RootKeyFile)
	keep := absolute(c.Keep)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if keep == "" {
			keep = InData
		}
		root := make([]byte, rootKeyLen)
		_, _ = rand.Read(root) // crypto/rand never fails
		if err := c.put(ctx, path, keep, root); err != nil {
			return nil, err
		}
		return NewLocalSealer(root)
	}
	if err != nil {
		return nil, fmt.Errorf("read root key: %w", FileError(err))
	}
	if err := privateFile(path); err != nil {
		return nil, err
	}
	w, err := readWrapped(path, raw)
	if err != nil {
		return nil, err
	}
	var root []byte
	is := InData
	if w == nil {
		if root, err = hex.DecodeString(string(trimNewline(raw))); err != nil || len(root) != rootKeyLen {
			return nil, fmt.Errorf("root key %s is damaged: want %d bytes in hexadecimal", path, rootKeyLen)
		}
	} else {
		is = w.Keep
		if root, err = c.unwrap(ctx, w); err != nil {
			return nil, err
		}
	}
	if keep != "" && (keep != is || c.Renew) {
		if err := c.put(ctx, path, keep, root); err != nil {
			return nil, err
		}
	}
	return NewLocalSealer(root)
}

// RootKept says where the root key of a data folder is kept, as Keep of RootConfig;
// "" when there is none.
func RootKept(dir string) (string, error) {
	path := filepath.Join(dir, RootKeyFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read root key: %w", FileError(err))
	}
	w, err := readWrapped(path, raw)
	if err != nil || w != nil {
		return keptIn(w), err
	}
	return InData, nil
}

func keptIn(w *wrappedRoot) string {
	if w == nil {
		return ""
	}
	return w.Keep
}

// CheckKeep says what is wrong with a Keep, nil when nothing is.
func CheckKeep(keep string) error {
	switch p, isFile := strings.CutPrefix(keep, InFile); {
	case keep == "", keep == InData, keep == Passphrase, keep == InKeyring, isFile && p != "":
		return nil
	}
	return fmt.Errorf("%q is not %s, %sPATH, %s or %s", keep, InData, InFile, Passphrase, InKeyring)
}

// absolute makes the path of a key file one that is good from everywhere.
func absolute(keep string) string {
	p, ok := strings.CutPrefix(keep, InFile)
	if !ok {
		return keep
	}
	if abs, err := filepath.Abs(p); err == nil {
		p = abs
	}
	return InFile + p
}

func readWrapped(path string, raw []byte) (*wrappedRoot, error) {
	if len(raw) == 0 || raw[0] != '{' {
		return nil, nil
	}
	var w wrappedRoot
	if err := json.Unmarshal(raw, &w); err != nil {
		return nil, fmt.Errorf("root key %s is damaged: %w", path, err)
	}
	if w.Format != wrappedFormat {
		return nil, fmt.Errorf("root key %s has the format %q, which this version does not know", path, w.Format)
	}
	return &w, CheckKeep(w.Keep)
}

// put writes the root key to where it is to be kept. A key that lay in clear is
// overwritten, as far as the disk lets anybody do that.
func (c *RootConfig) put(ctx context.Context, path, keep string, root []byte) error {
	if err := CheckKeep(keep); err != nil {
		return err
	}
	content := []byte(hex.EncodeToString(root) + "\n")
	if keep != InData {
		w, err := c.wrap(ctx, keep, root)
		if err != nil {
			return err
		}
		if content, err = json.MarshalIndent(w, "", "  "); err != nil {
			return fmt.Errorf("write root key: %w", err)
		}
		content = append(content, '\n')
	}
	old, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write root key: %w", FileError(err))
	}
	if old != nil {
		defer old.Close()
	}
	if err := writeFileDurable(path, content, 0o600); err != nil {
		return fmt.Errorf("write root key: %w", FileError(err))
	}
	if old == nil {
		return nil
	}
	blank := make([]byte, 2*rootKeyLen+1)
	if _, err = old.WriteAt(blank, 0); err == nil {
		err = old.Sync()
	}
	if err != nil {
		return fmt.Errorf("overwrite the old root key: %w", FileError(err))
	}
	return nil
}

// wrap wraps the root key with the key of its new place, which is made if need be.
func (c *RootConfig) wrap(ctx context.Context, keep string, root []byte) (*wrappedRoot, error) {
	w := &wrappedRoot{Format: wrappedFormat, Keep: keep}
	var key []byte
	var err error
	switch {
	case keep == Passphrase:
		a := &argonParts{Time: argonTime, Memory: argonMemory, Threads: argonThreads, Salt: hex.EncodeToString(random(argonSalt))}
		w.Argon2 = a
		var words []byte
		if words, err = c.words(ctx, true); err != nil {
			return nil, err
		}
		if len(words) < leastPassphrase {
			return nil, fmt.Errorf("a passphrase of %d bytes is too short: take %d or more", len(words), leastPassphrase)
		}
		key, err = a.key(words)
	case keep == InKeyring:
		w.Entry = "root key " + hex.EncodeToString(random(keyIDLen))
		key, err = c.ringKey(w.Entry, true)
	default:
		key, err = fileKey(strings.TrimPrefix(keep, InFile), true)
	}
	if err != nil {
		return nil, err
	}
	if keep != Passphrase { // an ID of a key made of a passphrase would help to guess it
		w.KeyID = keyName(key)
	}
	aead, err := wrapCipher(key)
	if err != nil {
		return nil, err
	}
	nonce := random(aead.NonceSize())
	w.Nonce, w.Wrapped = hex.EncodeToString(nonce), hex.EncodeToString(aead.Seal(nil, nonce, root, w.bound()))
	return w, nil
}

func (c *RootConfig) unwrap(ctx context.Context, w *wrappedRoot) ([]byte, error) {
	var key []byte
	var err error
	switch {
	case w.Keep == Passphrase:
		if w.Argon2 == nil {
			return nil, errors.New("root key is damaged: it says nothing of Argon2id")
		}
		var words []byte
		if words, err = c.words(ctx, false); err != nil {
			return nil, err
		}
		key, err = w.Argon2.key(words)
	case w.Keep == InKeyring:
		key, err = c.ringKey(w.Entry, false)
	default:
		key, err = fileKey(strings.TrimPrefix(w.Keep, InFile), false)
	}
	if err != nil {
		return nil, err
	}
	if w.KeyID != "" && w.KeyID != keyName(key) {
		return nil, fmt.Errorf("%w: %s holds key %s, and root.key is wrapped with %s", ErrRootKey, w.Keep, keyName(key), w.KeyID)
	}
	aead, err := wrapCipher(key)
	if err != nil {
		return nil, err
	}
	nonce, err1 := hex.DecodeString(w.Nonce)
	sealed, err2 := hex.DecodeString(w.Wrapped)
	if err := errors.Join(err1, err2); err != nil || len(nonce) != aead.NonceSize() {
		return nil, errors.New("root key is damaged")
	}
	root, err := aead.Open(nil, nonce, sealed, w.bound())
	if err != nil || len(root) != rootKeyLen {
		if w.Keep == Passphrase {
			return nil, fmt.Errorf("%w: this is not the passphrase, or root.key is damaged", ErrRootKey)
		}
		return nil, fmt.Errorf("%w: root.key is damaged", ErrRootKey)
	}
	return root, nil
}

// bound is what the wrapping authenticates besides the key.
func (w *wrappedRoot) bound() []byte {
	parts := []string{w.Format, w.Keep, w.KeyID, w.Entry}
	if a := w.Argon2; a != nil {
		parts = append(parts, fmt.Sprint(a.Time, a.Memory, a.Threads), a.Salt)
	}
	return bind(parts...)
}

func (c *RootConfig) words(ctx context.Context, renew bool) ([]byte, error) {
	if c.Passphrase == nil {
		return nil, fmt.Errorf("%w: nobody can be asked for the passphrase", ErrRootKey)
	}
	words, err := c.Passphrase(ctx, renew)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRootKey, err)
	}
	return words, nil
}

func (a *argonParts) key(words []byte) ([]byte, error) {
	salt, err := hex.DecodeString(a.Salt)
	// What a damaged file asks for must not take all memory.
	if err != nil || len(salt) < argonSalt || a.Time < 1 || a.Time > maxArgonTime || a.Memory < 8 || a.Memory > maxArgonMemory || a.Threads < 1 {
		return nil, errors.New("root key is damaged: its parameters of Argon2id are none")
	}
	return argon2.IDKey(words, salt, a.Time, a.Memory, a.Threads, rootKeyLen), nil
}

// fileKey reads a wrapping key, and makes it when it is to be used for the first time.
func fileKey(path string, first bool) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && first {
		key := random(rootKeyLen)
		if err := MakeFolder(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("make the folder of %s: %w", path, err)
		}
		if err := writeFileDurable(path, []byte(hex.EncodeToString(key)+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("write %s: %w", path, FileError(err))
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRootKey, err)
	}
	if err := privateFile(path); err != nil {
		return nil, err
	}
	return hexKey(string(trimNewline(raw)), path)
}

func (c *RootConfig) ringKey(entry string, first bool) ([]byte, error) {
	if c.Keyring == nil {
		return nil, fmt.Errorf("%w: there is no keyring on this system", ErrRootKey)
	}
	if first {
		key := random(rootKeyLen)
		if err := c.Keyring.Set(entry, hex.EncodeToString(key)); err != nil {
			return nil, fmt.Errorf("put the key into the keyring: %w", err)
		}
	}
	text, err := c.Keyring.Get(entry) // also what was just put there: it must come back
	if err != nil {
		return nil, fmt.Errorf("%w: keyring, %q: %w", ErrRootKey, entry, err)
	}
	return hexKey(text, "the keyring")
}

func hexKey(text, where string) ([]byte, error) {
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != rootKeyLen {
		return nil, fmt.Errorf("%w: %s holds no key of %d bytes in hexadecimal", ErrRootKey, where, rootKeyLen)
	}
	return key, nil
}

func keyName(key []byte) string {
	sum := sha256.Sum256(append([]byte("outcrop wrapping key id\x00"), key...))
	return hex.EncodeToString(sum[:keyIDLen])
}

func wrapCipher(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make the cipher of the root key: %w", err)
	}
	return cipher.NewGCM(block)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // crypto/rand never fails
	return b
}
