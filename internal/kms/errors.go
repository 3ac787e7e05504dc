package kms

import (
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// The exceptions of the KMS model that this package answers.
const (
	AlreadyExists     apierr.Kind = "AlreadyExistsException"
	Disabled          apierr.Kind = "DisabledException"
	DryRun            apierr.Kind = "DryRunOperationException"
	IncorrectKey      apierr.Kind = "IncorrectKeyException"
	InvalidAliasName  apierr.Kind = "InvalidAliasNameException"
	InvalidArn        apierr.Kind = "InvalidArnException"
	InvalidCiphertext apierr.Kind = "InvalidCiphertextException"
	InvalidGrantToken apierr.Kind = "InvalidGrantTokenException"
	InvalidMarker     apierr.Kind = "InvalidMarkerException"
	InvalidState      apierr.Kind = "KMSInvalidStateException"
	LimitExceeded     apierr.Kind = "LimitExceededException"
	MalformedPolicy   apierr.Kind = "MalformedPolicyDocumentException"
	NotAuthorized     apierr.Kind = "NotAuthorizedException"
	NotFound          apierr.Kind = "NotFoundException"
	TagError          apierr.Kind = "TagException"
	Unsupported       apierr.Kind = "UnsupportedOperationException"
)

// foreignKey is the one answer for a ciphertext of a key that is not there, is in
// another Region or may not be looked at: the three are not to be told apart.
func foreignKey() *apierr.Error {
	return apierr.New(apierr.AccessDenied, "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")
}

// badCiphertext has no text in AWS either: why a ciphertext does not open helps
// nobody but a forger.
func badCiphertext() *apierr.Error { return &apierr.Error{Kind: InvalidCiphertext} }

func noKey(arn string) *apierr.Error {
	return apierr.New(NotFound, "Key '%s' does not exist", arn)
}

func wrongKey() *apierr.Error {
	return apierr.New(IncorrectKey, "The key ID in the request does not identify a CMK that can perform this operation.")
}
