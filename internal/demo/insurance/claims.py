"""The action group of the insurance agent: one function for three operations."""

import json
import os

CLAIMS = json.loads(os.environ["CLAIMS"])  # claimId -> {policyHolderId, claimStatus, pendingDocuments}


def open_claims(event):
    return [
        {"claimId": i, "policyHolderId": c["policyHolderId"], "claimStatus": c["claimStatus"]}
        for i, c in CLAIMS.items()
        if c["claimStatus"] == "Open"
    ]


def missing_documents(event):
    claim = next((p["value"] for p in event.get("parameters", []) if p["name"] == "claimId"), None)
    if claim not in CLAIMS:
        return {"error": "no claim has the id %s" % claim}
    return {"claimId": claim, "pendingDocuments": CLAIMS[claim]["pendingDocuments"]}


def send_reminder(event):
    body = {p["name"]: p["value"] for p in event["requestBody"]["content"]["application/json"]["properties"]}
    claim = body.get("claimId")
    if claim not in CLAIMS:
        return {"error": "no claim has the id %s" % claim}
    return {"claimId": claim, "sendReminderTrackingId": CLAIMS[claim]["tracking"], "sendReminderStatus": "InProgress"}


ROUTES = {
    "/claims": open_claims,
    "/claims/{claimId}/identify-missing-documents": missing_documents,
    "/send-reminders": send_reminder,
}


def handler(event, context):
    print("%s %s" % (event["httpMethod"], event["apiPath"]))
    body = ROUTES[event["apiPath"]](event)
    return {
        "messageVersion": "1.0",
        "response": {
            "actionGroup": event["actionGroup"],
            "apiPath": event["apiPath"],
            "httpMethod": event["httpMethod"],
            "httpStatusCode": 200,
            "responseBody": {"application/json": {"body": json.dumps(body)}},
        },
        "sessionAttributes": event["sessionAttributes"],
        "promptSessionAttributes": event["promptSessionAttributes"],
    }
