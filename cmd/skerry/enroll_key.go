package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// request makes the device's key, if it has none, and writes a request for its
// certificate to a file. The key is one that all brokers take: ECDSA on P-256.
func (e *enrolment) request(id, file string) error {
	path := filepath.Join(e.data, identityDir, identityKey)
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(path)
	}
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: id}, DNSNames: []string{id},
	}, key)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	dir := filepath.Join(e.data, identityDir)
	return errors.Join(writeSynced(filepath.Join(dir, identityRequest), text), os.WriteFile(file, text, 0o644), syncFolder(dir), giveTo(e.data, dir))
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key in PEM: delete it, and a new one is made", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if ec, ok := key.(*ecdsa.PrivateKey); err == nil && ok {
		return ec, nil
	}
	return nil, fmt.Errorf("%s holds no key of skerry enroll: delete it, and a new one is made", path)
}

func makeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writeSynced(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// certify keeps the certificate that somebody made of the request, and has the fleet's
// broker be shown it.
func (e *enrolment) certify(file string) error {
	id, err := readIdentity(e.data)
	if err != nil {
		return err
	}
	if id == nil {
		return usageError{errors.New("this device has no identity yet: begin with skerry enroll --csr FILE")}
	}
	cert, err := os.ReadFile(file)
	if err != nil {
		return usageError{err}
	}
	dir := filepath.Join(e.data, identityDir)
	key, err := os.ReadFile(filepath.Join(dir, identityKey))
	if err != nil {
		return usageError{fmt.Errorf("this device has no key: begin with skerry enroll --csr FILE (%w)", err)}
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return usageError{fmt.Errorf("%s is no certificate for the key of this device: sign %s (%w)", file, filepath.Join(dir, identityRequest), err)}
	}
	text, err := os.ReadFile(filepath.Join(dir, identityConfig))
	if err != nil {
		return err
	}
	var config map[string]any
	if err := yaml.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("%s: %w", identityConfig, err)
	}
	if err := writeSynced(filepath.Join(dir, identityCert), cert); err != nil {
		return err
	}
	e.addCert(config)
	if text, err = yaml.Marshal(config); err != nil {
		return err
	}
	if err := writeIdentity(e.data, id, map[string][]byte{identityConfig: text}); err != nil {
		return err
	}
	e.told("the certificate is in %s; other brokers can be shown it too: cert_file and key_file", filepath.Join(dir, identityCert))
	return nil
}
