package outcroptest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Python returns the interpreter that has boto3 and the AWS CLI: that of
// OUTCROP_TEST_PYTHON, or the one that make installs in the repository.
func Python() (string, error) {
	py := os.Getenv("OUTCROP_TEST_PYTHON")
	if py == "" {
		root, err := Root()
		if err != nil {
			return "", err
		}
		py = filepath.Join(root, ".venv", "bin", "python")
	}
	if _, err := os.Stat(py); err != nil {
		return "", fmt.Errorf("no Python with boto3: run `make accept`, or name one in OUTCROP_TEST_PYTHON: %w", err)
	}
	return py, nil
}

// PythonWith is Python for a test that needs some of its modules. Where they are not
// there the test is left out; in CI, and where OUTCROP_TEST_PYTHON names an interpreter,
// it fails.
func PythonWith(t testing.TB, modules ...string) string {
	t.Helper()
	py, err := Python()
	if err == nil {
		out, ierr := exec.CommandContext(t.Context(), py, "-c", "import "+strings.Join(modules, ", ")).CombinedOutput()
		if ierr == nil {
			return py
		}
		err = fmt.Errorf("%s lacks one of %s: %w\n%s", py, strings.Join(modules, ", "), ierr, out)
	}
	if os.Getenv("CI") != "" || os.Getenv("OUTCROP_TEST_PYTHON") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
	return ""
}

// Client is the environment in which an unchanged AWS program calls endpoint and finds
// no other settings; session is "" for a key without one. What is in more comes last.
func Client(endpoint, accessKey, secretKey, session string, more ...string) []string {
	return append(append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint, "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_SESSION_TOKEN="+session,
		"AWS_DEFAULT_REGION=eu-west-3", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "PYTHONDONTWRITEBYTECODE=1"), more...)
}
