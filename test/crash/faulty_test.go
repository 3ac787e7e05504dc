package crash

import "context"

func faulty(context.Context) error { return nil }
