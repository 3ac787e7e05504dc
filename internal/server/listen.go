package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// listener is one port with the handler behind it.
type listener struct {
	net.Listener
	http *http.Server
}

// newHTTP returns the HTTP server of a port: HTTP/1.1, HTTP/2 over TLS, and
// HTTP/2 in clear text by prior knowledge, which the JavaScript SDK speaks to
// event streams. There is no write time-out as a whole, since streams last as
// long as the model talks; each frame has a deadline of its own.
func newHTTP(h http.Handler, log *slog.Logger) *http.Server {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: h, Protocols: p,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 250},
	}
}

// listen opens the main port and, when asked, one for each service above it.
func listen(ctx context.Context, addr string, tc *tls.Config) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; choose another address with --listen, port 0 takes a free one", addr, err)
	}
	if tc != nil {
		l = tls.NewListener(l, tc)
	}
	return l, nil
}

// nextPort returns addr with its port counted up by n; port 0 stays 0.
func nextPort(addr string, n int) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	p, err := net.LookupPort("tcp", port)
	if err != nil {
		return "", err
	}
	if p != 0 {
		p += n
	}
	return net.JoinHostPort(host, fmt.Sprint(p)), nil
}

// tlsConfig returns the certificate that the setting names: nil for off, a
// generated one kept in the data folder for auto.
func tlsConfig(setting, data string, now time.Time) (*tls.Config, error) {
	var cert, key string
	switch setting {
	case "off", "":
		return nil, nil
	case "auto":
		cert, key = filepath.Join(data, "tls.crt"), filepath.Join(data, "tls.key")
		if err := ensureCertificate(cert, key, now); err != nil {
			return nil, fmt.Errorf("make a TLS certificate: %w", err)
		}
	default:
		cert, key, _ = strings.Cut(setting, ",")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("load the TLS certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// ensureCertificate makes a self-signed certificate for this machine's loopback
// names unless a valid one is there. Clients trust it by AWS_CA_BUNDLE.
func ensureCertificate(certFile, keyFile string, now time.Time) error {
	if b, err := os.ReadFile(certFile); err == nil {
		if block, _ := pem.Decode(b); block != nil {
			if c, err := x509.ParseCertificate(block.Bytes); err == nil && now.Add(24*time.Hour).Before(c.NotAfter) {
				return nil
			}
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Outcrop on this machine"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(2, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "*.localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}
