//go:build !unix

package localpg

import (
	"io/fs"
	"os"
	"syscall"
)

// These systems cannot run a server; the following only lets the package compile.
const supported = false

type account struct{ drop bool }

func accountFor(string) (account, error)      { return account{}, nil }
func (account) String() string                { return "" }
func (account) own(string) error              { return nil }
func (account) mayEnter(fs.FileInfo) bool     { return true }
func signalProcess(int, syscall.Signal) error { return nil }
func processAlive(int) bool                   { return false }
func maybePostgres(int) bool                  { return false }
func stopOrphan(int)                          {}
func tryLock(*os.File) (bool, error)          { return true, nil }
func unlock(*os.File)                         {}

func childAttr(account, syscall.Signal) *syscall.SysProcAttr { return nil }
