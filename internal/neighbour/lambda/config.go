package lambda

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	lambdaapi "github.com/outcrop-dev/outcrop/internal/api/lambda"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// Bounds that the service keeps besides those of its model.
const (
	maxTimeout     = 900     // seconds
	maxMemory      = 10240   // MB
	maxEnvironment = 4 << 10 // bytes of the variables as JSON
	timeForm       = "2006-01-02T15:04:05.000-0700"
)

// reserved variables cannot be set by a function's configuration.
var reserved = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
	"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API",
	"LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

// settings are the members that creation and change of a configuration share; nil
// leaves what there is.
type settings struct {
	description, handler, role *string
	runtime                    lambdaapi.Runtime
	timeout, memory            *int
	environment                *lambdaapi.Environment
	tmp                        *lambdaapi.EphemeralStorage
	tracing                    *lambdaapi.TracingConfig
	logging                    *lambdaapi.LoggingConfig
	layers                     []string
	files                      []lambdaapi.FileSystemConfig
	vpc                        *lambdaapi.VpcConfig
	dead                       *lambdaapi.DeadLetterConfig
	image                      *lambdaapi.ImageConfig
	snap                       *lambdaapi.SnapStart
	key                        *string
	durable, capacity, tenancy bool
}

// unbuilt refuses what functions here cannot have.
func (s *settings) unbuilt() error {
	refuse := func(what string) error {
		return apierr.New(invalid, "%s is not built in Outcrop: functions run from a zip, without it.", what)
	}
	switch {
	case len(s.layers) > 0:
		return refuse("Layers")
	case len(s.files) > 0:
		return refuse("FileSystemConfigs")
	case s.vpc != nil && (len(s.vpc.SubnetIds) > 0 || len(s.vpc.SecurityGroupIds) > 0):
		return refuse("VpcConfig")
	case s.dead != nil && optional.Value(s.dead.TargetArn) != "":
		return refuse("DeadLetterConfig")
	case s.image != nil:
		return refuse("ImageConfig")
	case s.snap != nil && s.snap.ApplyOn == lambdaapi.SnapStartApplyOnPublishedVersions:
		return refuse("SnapStart")
	case optional.Value(s.key) != "":
		return refuse("KMSKeyArn")
	case s.durable:
		return refuse("DurableConfig")
	case s.capacity:
		return refuse("CapacityProviderConfig")
	case s.tenancy:
		return refuse("TenancyConfig")
	case s.logging != nil && s.logging.LogFormat == lambdaapi.LogFormatJson:
		return refuse("LoggingConfig.LogFormat JSON")
	}
	return nil
}

// apply checks the settings and puts them into a record.
func (f *Face) apply(ctx context.Context, t target, s *settings, r *record) error {
	if err := s.unbuilt(); err != nil {
		return err
	}
	if s.runtime != "" {
		if f.c.Runs != nil && !f.c.Runs(string(s.runtime)) {
			return apierr.New(invalid, "Functions of runtime %s are not run by Outcrop, which has python3.x, nodejs.x and provided.", s.runtime)
		}
		r.Runtime = string(s.runtime)
	}
	set(&r.Description, s.description)
	set(&r.Handler, s.handler)
	set(&r.Timeout, s.timeout)
	set(&r.MemoryMB, s.memory)
	if s.tmp != nil {
		r.TmpMB = s.tmp.Size
	}
	if s.tracing != nil && s.tracing.Mode != "" {
		r.Tracing = string(s.tracing.Mode)
	}
	if s.logging != nil {
		r.LogGroup = optional.Value(s.logging.LogGroup)
	}
	if r.Timeout > maxTimeout {
		return apierr.New(apierr.Validation, "1 validation error detected: Value '%d' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to %d", r.Timeout, maxTimeout)
	}
	if r.MemoryMB > maxMemory {
		return apierr.New(apierr.Validation, "1 validation error detected: Value '%d' at 'memorySize' failed to satisfy constraint: Member must have value less than or equal to %d", r.MemoryMB, maxMemory)
	}
	if s.environment != nil {
		if err := checkEnvironment(s.environment.Variables); err != nil {
			return err
		}
		r.Environment = s.environment.Variables
	}
	if s.role != nil {
		if err := f.checkRole(ctx, t, *s.role); err != nil {
			return err
		}
		r.Role = *s.role
	}
	return nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func checkEnvironment(vars map[string]string) error {
	var taken []string
	for k := range vars {
		if slices.Contains(reserved, k) {
			taken = append(taken, k)
		}
	}
	if len(taken) > 0 {
		slices.Sort(taken)
		return apierr.New(invalid, "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", strings.Join(taken, ", "))
	}
	if b, _ := json.Marshal(vars); len(vars) > 0 && len(b) > maxEnvironment {
		return apierr.New(invalid, "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: %s", b)
	}
	return nil
}

// touch marks a change of configuration or code.
func (f *Face) touch(now time.Time, r *record) {
	r.Revision, r.Modified = f.c.NewID(), now
	r.Settled = now.Add(f.c.Transition)
}

// busy refuses a change while the one before is in progress.
func (f *Face) busy(t target, r *record) error {
	now := f.c.Registry.now()
	if now.Before(r.Ready) {
		return apierr.New(conflict, "The operation cannot be performed at this time. The function is currently in the following state: Pending")
	}
	if now.Before(r.Settled) {
		return apierr.New(conflict, "The operation cannot be performed at this time. An update is in progress for resource: %s", t.arn())
	}
	return nil
}

func checkRevision(want *string, have string) error {
	if want != nil && *want != have {
		return apierr.New(precondition, "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")
	}
	return nil
}

// describe is a record as the API shows it. arn is the function's, qualified where
// the operation shows it so.
func (f *Face) describe(r *store.Record[record], arn string) *lambdaapi.FunctionConfigurationStructure {
	b := &r.Body
	out := &lambdaapi.FunctionConfigurationStructure{
		Architectures: []lambdaapi.Architecture{lambdaapi.Architecture(b.Arch)}, CodeSha256: new(b.Code.SHA256), CodeSize: new(b.Code.Size),
		Description: new(b.Description), EphemeralStorage: &lambdaapi.EphemeralStorage{Size: b.TmpMB}, FunctionArn: new(arn), FunctionName: new(r.ID),
		Handler: new(b.Handler), LastModified: new(b.Modified.UTC().Format(timeForm)), MemorySize: new(b.MemoryMB), PackageType: lambdaapi.PackageTypeZip,
		RevisionId: new(b.Revision), Role: new(b.Role), Runtime: lambdaapi.Runtime(b.Runtime), Timeout: new(b.Timeout),
		SnapStart:     &lambdaapi.SnapStartResponse{ApplyOn: lambdaapi.SnapStartApplyOnNone, OptimizationStatus: lambdaapi.SnapStartOptimizationStatusOff},
		TracingConfig: &lambdaapi.TracingConfigResponse{Mode: lambdaapi.TracingMode(b.Tracing)}, Version: new(fn.LatestVersion),
		LoggingConfig: &lambdaapi.LoggingConfig{LogFormat: lambdaapi.LogFormatText, LogGroup: new(logGroup(r))},
		State:         lambdaapi.StateActive, LastUpdateStatus: lambdaapi.LastUpdateStatusSuccessful,
	}
	if r.Version != "" {
		out.Version = new(r.Version)
	}
	if len(b.Environment) > 0 {
		out.Environment = &lambdaapi.EnvironmentResponse{Variables: b.Environment}
	}
	now := f.c.Registry.now()
	switch {
	case now.Before(b.Ready):
		out.State, out.StateReason, out.StateReasonCode = lambdaapi.StatePending, new("The function is being created."), lambdaapi.StateReasonCodeCreating
		out.LastUpdateStatus = lambdaapi.LastUpdateStatusInProgress
	case now.Before(b.Settled) && r.Version == "":
		out.LastUpdateStatus, out.LastUpdateStatusReason = lambdaapi.LastUpdateStatusInProgress, new("The function is being updated.")
	}
	return out
}

func logGroup(r *store.Record[record]) string {
	if r.Body.LogGroup != "" {
		return r.Body.LogGroup
	}
	return "/aws/lambda/" + r.ID
}
