package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4" //nolint:gosec // the cipher of the format
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
)

// crypt decrypts a file that opens without a password: many are only kept from
// printing or copying.
type crypt struct {
	key     []byte
	strings method
	streams method
	skip    int // number of the object with the cipher's own texts
	meta    bool
}

type method int

const (
	none method = iota
	useRC4
	useAES
	useAES256
)

var padding = []byte("\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a")

// newCrypt derives the key, ISO 32000-1 7.6.3 and ISO 32000-2 7.6.4.
func (f *file) newCrypt(enc dict) (*crypt, error) {
	if f.name(enc["Filter"]) != "Standard" {
		return nil, ErrCipher
	}
	v, r := int(f.number(enc["V"], 0)), int(f.number(enc["R"], 0))
	bits := int(f.number(enc["Length"], 40))
	text := func(k name) []byte {
		s, _ := f.resolve(enc[k]).(str)
		return []byte(s)
	}
	c := &crypt{meta: true}
	if m, ok := f.resolve(enc["EncryptMetadata"]).(bool); ok {
		c.meta = m
	}
	switch v {
	case 1, 2, 3:
		c.strings, c.streams = useRC4, useRC4
		if v == 1 {
			bits = 40
		}
	case 4, 5:
		filters := f.dict(enc["CF"])
		find := func(k name) (method, bool) {
			n := f.name(enc[k])
			if n == "" || n == "Identity" {
				return none, true
			}
			cf := f.dict(filters[n])
			switch f.name(cf["CFM"]) {
			case "V2":
				return useRC4, true
			case "AESV2":
				return useAES, true
			case "AESV3":
				return useAES256, true
			case "None":
				return none, true
			}
			return none, false
		}
		var ok1, ok2 bool
		c.strings, ok1 = find("StrF")
		c.streams, ok2 = find("StmF")
		if !ok1 || !ok2 {
			return nil, ErrCipher
		}
		if v == 4 {
			bits = 128
		}
	default:
		return nil, ErrCipher
	}
	if bits < 40 || bits > 256 || bits%8 != 0 {
		return nil, ErrCipher
	}
	if v == 5 {
		key, err := key256(r, text("U"), text("UE"))
		c.key = key
		return c, err
	}
	o, u := text("O"), text("U")
	if len(o) < 32 || len(u) < 16 {
		return nil, ErrDamaged
	}
	var id []byte
	if ids := f.array(f.trailer["ID"]); len(ids) > 0 {
		s, _ := f.resolve(ids[0]).(str)
		id = []byte(s)
	}
	h := md5.New()
	h.Write(padding)
	h.Write(o[:32])
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(int64(f.number(enc["P"], 0)))))
	h.Write(id)
	if r >= 4 && !c.meta {
		h.Write([]byte{0xff, 0xff, 0xff, 0xff})
	}
	n := min(bits/8, 16)
	key := h.Sum(nil)
	if r >= 3 {
		for range 50 {
			s := md5.Sum(key[:n])
			key = s[:]
		}
	}
	c.key = key[:n]
	// The empty password is right when the file's own check comes out.
	if r == 2 {
		if !bytes.Equal(rc4With(c.key, padding), u[:min(32, len(u))]) {
			return nil, ErrPassword
		}
		return c, nil
	}
	h = md5.New()
	h.Write(padding)
	h.Write(id)
	check := rc4With(c.key, h.Sum(nil))
	for i := 1; i <= 19; i++ {
		k := bytes.Clone(c.key)
		for j := range k {
			k[j] ^= byte(i)
		}
		check = rc4With(k, check)
	}
	if !bytes.Equal(check, u[:16]) {
		return nil, ErrPassword
	}
	return c, nil
}

func rc4With(key, data []byte) []byte {
	c, err := rc4.NewCipher(key) //nolint:gosec // what old PDF files are encrypted with
	if err != nil {
		return nil
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out
}

// key256 opens the file key of AES-256 with an empty password.
func key256(r int, u, ue []byte) ([]byte, error) {
	if len(u) < 48 || len(ue) < 32 {
		return nil, ErrDamaged
	}
	hash := func(salt []byte) []byte {
		s := sha256.Sum256(salt)
		if r < 6 {
			return s[:]
		}
		return harden(s[:])
	}
	if !bytes.Equal(hash(u[32:40]), u[:32]) {
		return nil, ErrPassword
	}
	b, err := aes.NewCipher(hash(u[40:48]))
	if err != nil {
		return nil, ErrCipher
	}
	key := make([]byte, 32)
	cipher.NewCBCDecrypter(b, make([]byte, 16)).CryptBlocks(key, ue[:32])
	return key, nil
}

// harden is algorithm 2.B of ISO 32000-2 for the empty password.
func harden(k []byte) []byte {
	for i := 0; ; i++ {
		k1 := bytes.Repeat(k, 64)
		b, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil
		}
		e := make([]byte, len(k1))
		cipher.NewCBCEncrypter(b, k[16:32]).CryptBlocks(e, k1)
		sum := 0
		for _, c := range e[:16] {
			sum += int(c)
		}
		switch sum % 3 {
		case 0:
			s := sha256.Sum256(e)
			k = s[:]
		case 1:
			s := sha512.Sum384(e)
			k = s[:]
		default:
			s := sha512.Sum512(e)
			k = s[:]
		}
		if i >= 63 && int(e[len(e)-1]) <= i-32 {
			return k[:32]
		}
	}
}

func (c *crypt) text(id ref, s string) string {
	return string(c.open(c.strings, id, []byte(s)))
}

func (c *crypt) stream(f *file, s *stream, data []byte) []byte {
	if !c.meta && s.dict["Type"] == name("Metadata") {
		return data
	}
	for _, x := range f.list(s.dict["Filter"]) {
		if f.name(x) == "Crypt" { // names its own, which is Identity in practice
			return data
		}
	}
	return c.open(c.streams, s.id, data)
}

func (c *crypt) open(m method, id ref, data []byte) []byte {
	if m == none {
		return data
	}
	key := c.key
	if m != useAES256 {
		h := md5.New()
		h.Write(c.key)
		h.Write([]byte{byte(id.num), byte(id.num >> 8), byte(id.num >> 16), byte(id.gen), byte(id.gen >> 8)})
		if m == useAES {
			h.Write([]byte("sAlT"))
		}
		key = h.Sum(nil)[:min(len(c.key)+5, 16)]
	}
	if m == useRC4 {
		return rc4With(key, data)
	}
	if len(data) < 32 {
		return nil
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	body := data[16:]
	out := make([]byte, len(body)&^15)
	cipher.NewCBCDecrypter(b, data[:16]).CryptBlocks(out, body[:len(out)])
	if n := len(out); n > 0 && out[n-1] >= 1 && out[n-1] <= 16 {
		out = out[:n-int(out[n-1])]
	}
	return out
}
