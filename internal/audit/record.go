package audit

import (
	"encoding/json"
	"time"
)

// Hidden stands for a value that must appear but may not be shown.
const Hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// Identity is who asked.
type Identity struct {
	Type        string // Root, IAMUser, AssumedRole, AWSService
	PrincipalID string
	ARN         string
	Account     string
	AccessKeyID string
	UserName    string
	InvokedBy   string   // service, of an AWSService
	Session     *Session // of an AssumedRole
}

// Session says whose role the caller wears.
type Session struct {
	IssuerType, IssuerARN, IssuerPrincipalID, IssuerAccount, IssuerName string
	Created                                                             time.Time
	MFA                                                                 bool
}

// Resource is what the request was about.
type Resource struct{ ARN, Type, Account string }

// TLS is set for requests that came encrypted.
type TLS struct{ Version, Cipher, Host string }

// Record is one request, answered or refused.
type Record struct {
	ID        string // v4 UUID
	RequestID string // as answered in x-amzn-RequestId
	Time      time.Time
	Account   string // that owns the resource
	Region    string
	Source    string // bedrock.amazonaws.com
	Operation string
	Identity  Identity
	SourceIP  string // or SERVICE.amazonaws.com for a call from within
	UserAgent string

	ErrorCode, ErrorMessage string // empty on success

	ReadOnly   bool // Get and List; Invoke is not
	Data       bool // a data event; else a management event
	Resources  []Resource
	Parameters map[string]any // allow-listed; nil is null
	Response   map[string]any // allow-listed; nil is null
	TLS        *TLS
}

type userIdentity struct {
	Type        string          `json:"type"`
	PrincipalID string          `json:"principalId,omitempty"`
	ARN         string          `json:"arn,omitempty"`
	Account     string          `json:"accountId,omitempty"`
	AccessKeyID string          `json:"accessKeyId,omitempty"`
	UserName    string          `json:"userName,omitempty"`
	InvokedBy   string          `json:"invokedBy,omitempty"`
	Session     *sessionContext `json:"sessionContext,omitempty"`
}

type sessionContext struct {
	Issuer struct {
		Type        string `json:"type"`
		PrincipalID string `json:"principalId"`
		ARN         string `json:"arn"`
		Account     string `json:"accountId"`
		UserName    string `json:"userName"`
	} `json:"sessionIssuer"`
	Attributes struct {
		Created string `json:"creationDate"`
		MFA     string `json:"mfaAuthenticated"`
	} `json:"attributes"`
}

type resource struct {
	Account string `json:"accountId,omitempty"`
	Type    string `json:"type,omitempty"`
	ARN     string `json:"ARN"`
}

type tlsDetails struct {
	Version string `json:"tlsVersion"`
	Cipher  string `json:"cipherSuite"`
	Host    string `json:"clientProvidedHostHeader"`
}

type event struct {
	Version      string         `json:"eventVersion"`
	Identity     userIdentity   `json:"userIdentity"`
	Time         string         `json:"eventTime"`
	Source       string         `json:"eventSource"`
	Name         string         `json:"eventName"`
	Region       string         `json:"awsRegion"`
	IP           string         `json:"sourceIPAddress"`
	UserAgent    string         `json:"userAgent"`
	ErrorCode    string         `json:"errorCode,omitempty"`
	ErrorMessage string         `json:"errorMessage,omitempty"`
	Parameters   map[string]any `json:"requestParameters"`
	Response     map[string]any `json:"responseElements"`
	RequestID    string         `json:"requestID"`
	ID           string         `json:"eventID"`
	ReadOnly     bool           `json:"readOnly"`
	Resources    []resource     `json:"resources,omitempty"`
	Type         string         `json:"eventType"`
	Management   bool           `json:"managementEvent"`
	Account      string         `json:"recipientAccountId"`
	Category     string         `json:"eventCategory"`
	TLS          *tlsDetails    `json:"tlsDetails,omitempty"`
}

// MarshalJSON writes the record as CloudTrail does (spec 08, 11.1).
func (r Record) MarshalJSON() ([]byte, error) {
	e := event{
		Version: "1.08", Time: r.Time.UTC().Format("2006-01-02T15:04:05Z"),
		Identity: userIdentity{
			Type: r.Identity.Type, PrincipalID: r.Identity.PrincipalID, ARN: r.Identity.ARN, Account: r.Identity.Account,
			AccessKeyID: r.Identity.AccessKeyID, UserName: r.Identity.UserName, InvokedBy: r.Identity.InvokedBy,
		},
		Source: r.Source, Name: r.Operation, Region: r.Region, IP: r.SourceIP, UserAgent: r.UserAgent,
		ErrorCode: r.ErrorCode, ErrorMessage: r.ErrorMessage, Parameters: r.Parameters, Response: r.Response,
		RequestID: r.RequestID, ID: r.ID, ReadOnly: r.ReadOnly, Type: "AwsApiCall", Management: !r.Data, Account: r.Account, Category: "Management",
	}
	if r.Data {
		e.Category = "Data"
	}
	if s := r.Identity.Session; s != nil {
		c := &sessionContext{}
		c.Issuer.Type, c.Issuer.ARN, c.Issuer.PrincipalID = s.IssuerType, s.IssuerARN, s.IssuerPrincipalID
		c.Issuer.Account, c.Issuer.UserName = s.IssuerAccount, s.IssuerName
		c.Attributes.Created, c.Attributes.MFA = s.Created.UTC().Format("2006-01-02T15:04:05Z"), "false"
		if s.MFA {
			c.Attributes.MFA = "true"
		}
		e.Identity.Session = c
	}
	for _, x := range r.Resources {
		e.Resources = append(e.Resources, resource{x.Account, x.Type, x.ARN})
	}
	if r.TLS != nil {
		e.TLS = &tlsDetails{r.TLS.Version, r.TLS.Cipher, r.TLS.Host}
	}
	return json.Marshal(e)
}
