package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/zalando/go-keyring"
	"golang.org/x/term"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// Variables that hold passphrases. They are taken out of the environment when they
// are read, so that no process started later inherits them.
const (
	passphraseVariable    = "OUTCROP_PASSPHRASE"
	newPassphraseVariable = "OUTCROP_NEW_PASSPHRASE" // to change it to
)

// root says how this process gets at the key of all data.
func (e *env) root() store.RootConfig {
	return store.RootConfig{Passphrase: e.passphrase, Keyring: systemKeyring{}}
}

// rootKey shows where the root key is kept, or moves it. A server may run meanwhile:
// it has the key, which stays the same.
func rootKey(ctx context.Context, e *env, args []string) error {
	set := e.flags("root-key")
	data := set.String("data", e.getenv("OUTCROP_DATA"), "data folder of the server")
	to := set.String("to", "", "where to keep it: data (in the data folder), file:PATH, passphrase or keyring; passphrase again changes it ("+newPassphraseVariable+", or asked for)")
	if err := set.Parse(args); err != nil {
		return usageError{err}
	}
	if *data == "" {
		*data = config.DefaultData()
	}
	if err := store.CheckKeep(*to); err != nil {
		return usageError{err}
	}
	is, err := store.RootKept(*data)
	if err != nil {
		return err
	}
	if is == "" {
		return fmt.Errorf("%s holds no root key: it is no data folder", *data)
	}
	if *to == "" {
		fmt.Fprintln(e.stdout, is)
		return nil
	}
	c := e.root()
	c.Dir, c.Keep, c.Renew = *data, *to, true
	if *to == store.Passphrase && is == store.Passphrase {
		c.Passphrase = func(ctx context.Context, renew bool) ([]byte, error) {
			if renew && e.getenv(newPassphraseVariable) == "" {
				return e.prompt("New passphrase: ", true)
			}
			return e.passphrase(ctx, renew)
		}
	}
	if _, err := store.OpenRoot(ctx, c); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "the root key is kept in %s now; backups made before hold it as it was\n", *to)
	return nil
}

// passphrase takes it from the environment or asks for it.
func (e *env) passphrase(_ context.Context, renew bool) ([]byte, error) {
	names := []string{passphraseVariable}
	question := "Passphrase of the data: "
	if renew {
		names, question = []string{newPassphraseVariable, passphraseVariable}, "New passphrase for the data: "
	}
	for _, n := range names {
		if v := e.getenv(n); v != "" {
			return []byte(v), os.Unsetenv(n)
		}
	}
	return e.prompt(question, renew)
}

// prompt asks on the terminal without showing what is typed, twice when it is new.
func (e *env) prompt(question string, twice bool) ([]byte, error) {
	in := int(os.Stdin.Fd())
	if e.terminal == nil || !term.IsTerminal(in) {
		return nil, errors.New("there is no terminal to ask for the passphrase on: set " + passphraseVariable)
	}
	ask := func(q string) ([]byte, error) {
		fmt.Fprint(e.terminal, q)
		b, err := term.ReadPassword(in)
		fmt.Fprintln(e.terminal)
		return b, err
	}
	first, err := ask(question)
	if err != nil || !twice {
		return first, err
	}
	again, err := ask("The same again: ")
	if err == nil && !bytes.Equal(first, again) {
		err = errors.New("the two are not the same")
	}
	return first, err
}

// systemKeyring is the keyring of the operating system: the Keychain of macOS,
// Windows' Credential Manager, the Secret Service of a Linux desktop.
type systemKeyring struct{}

var _ store.Keyring = systemKeyring{}

const keyringService = "outcrop"

func (systemKeyring) Get(name string) (string, error) { return keyring.Get(keyringService, name) }

func (systemKeyring) Set(name, secret string) error { return keyring.Set(keyringService, name, secret) }
