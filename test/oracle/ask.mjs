// Reads cases, one JSON a line, and writes the oracle's answer to each: Allowed,
// ImplicitlyDenied, ExplicitlyDenied, or the error that kept it from answering.
// Development only: nothing of the oracle is part of what is built.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const { runSimulation, runUnsafeSimulation, anonymousPrincipal } = createRequire(import.meta.url)('@cloud-copilot/iam-simulate')
const named = (docs) => (docs ?? []).map((policy, i) => ({ name: `policy-${i}`, policy }))

for await (const line of createInterface({ input: process.stdin })) {
  const c = JSON.parse(line)
  const simulation = {
    request: {
      principal: c.principal || anonymousPrincipal,
      action: c.action,
      resource: { resource: c.resource, accountId: c.owner },
      contextVariables: c.keys ?? {},
    },
    identityPolicies: named(c.identity),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(c.resourcePolicy && { resourcePolicy: c.resourcePolicy }),
    ...(c.boundary && { permissionBoundaryPolicies: named([c.boundary]) }),
    ...(c.session && { sessionPolicy: c.session }),
  }
  let answer
  try {
    if (c.unchecked) {
      const r = runUnsafeSimulation(simulation, {})
      answer = r.result ?? r
    } else {
      const r = await runSimulation(simulation, {})
      answer = r.overallResult ?? 'error: ' + JSON.stringify(r.errors)
    }
  } catch (e) {
    answer = 'error: ' + e.message
  }
  process.stdout.write(answer + '\n')
}
