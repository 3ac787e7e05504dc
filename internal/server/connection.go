package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Connection is what a client needs to reach a server: `outcrop env` prints it.
// The server writes it into the data folder, readable by its owner alone.
type Connection struct {
	Endpoint  string `json:"endpoint"`
	Region    string `json:"region"`
	Account   string `json:"account"`
	AccessKey string `json:"accessKeyId"`
	SecretKey string `json:"secretAccessKey"`
	CABundle  string `json:"caBundle,omitempty"` // of a generated certificate
	PID       int    `json:"pid"`
}

const connectionFile = "connection.json"

func (c *Connection) write(data string) error {
	b, err := json.MarshalIndent(c, "", "  ") //nolint:gosec // the keys are what this file is for; it is 0600
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(data, connectionFile), append(b, '\n'))
}

// ReadConnection returns what the last server of the data folder wrote.
func ReadConnection(data string) (*Connection, error) {
	b, err := os.ReadFile(filepath.Join(data, connectionFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no server has run with the data folder %s: start one with `outcrop serve --data %s`", data, data)
	}
	if err != nil {
		return nil, err
	}
	c := new(Connection)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("read %s: %w", connectionFile, err)
	}
	return c, nil
}

// writeFile replaces a file at once, so that a reader never sees half of it.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
