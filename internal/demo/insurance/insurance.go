package insurance

import (
	"archive/zip"
	"bytes"
	_ "embed" // claims.py, claims.yaml
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Schema is the OpenAPI document of the action group.
//
//go:embed claims.yaml
var Schema string

//go:embed claims.py
var code string

// Handler names the function's entry.
const Handler = "claims.handler"

// Instruction is what the agent is told to be.
const Instruction = "You are an insurance agent. You help staff with insurance claims: you list open claims, say which documents are missing for a claim, " +
	"and send reminders to policy holders. Take every fact from the claims actions, repeat ids exactly, and answer in one or two plain sentences."

// Claim is one insurance claim.
type Claim struct {
	ID        string `json:"-"`
	Holder    string `json:"policyHolderId"`
	Status    string `json:"claimStatus"`
	Documents string `json:"pendingDocuments"`
	Tracking  string `json:"tracking"` // of a reminder
}

var documents = []string{
	"DriverLicense", "VehicleRegistration", "AccidentImages", "PoliceReport", "RepairEstimate", "MedicalCertificate", "WitnessStatement", "PurchaseReceipt",
}

// Draw makes n claims of which the last is closed.
func Draw(n int) []Claim {
	claims := make([]Claim, n)
	seen := map[int]bool{}
	number := func() int {
		for {
			if v := 1000 + rand.IntN(9000); !seen[v] {
				seen[v] = true
				return v
			}
		}
	}
	for i := range claims {
		d := rand.Perm(len(documents))
		claims[i] = Claim{
			ID: fmt.Sprintf("claim-%d", number()), Holder: fmt.Sprintf("H%d", number()), Status: "Open",
			Documents: documents[d[0]] + ", " + documents[d[1]], Tracking: fmt.Sprintf("track-%d", number()),
		}
	}
	claims[n-1].Status = "Closed"
	return claims
}

// Environment is the function's: what it knows.
func Environment(claims []Claim) map[string]string {
	m := make(map[string]Claim, len(claims))
	for _, c := range claims {
		m[c.ID] = c
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic("BUG: " + err.Error()) // strings alone
	}
	return map[string]string{"CLAIMS": string(b)}
}

// Zip is the function's code as Lambda takes it.
func Zip() ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(strings.TrimSuffix(Handler, ".handler") + ".py")
	if err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(code)); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
