package live

import "cronium.dev/cronium"

// Topic names something that changes. Publishing a topic says that whoever
// shows it should read it again; it carries no data.
type Topic string

// JobTopic is the topic of one job: its status, executions, result.
func JobTopic(id cronium.ID) Topic { return Topic("job:" + id.String()) }

// JobsTopic is the topic of all jobs of a workspace: one came, changed or ended.
func JobsTopic(workspace cronium.ID) Topic { return Topic("jobs:" + workspace.String()) }

// OutputTopic is the topic of one execution's output: more is stored.
func OutputTopic(execution cronium.ID) Topic { return Topic("output:" + execution.String()) }

// MergedTopic is the topic of the output of all servers of a job: more is stored
// of one of them.
func MergedTopic(job cronium.ID) Topic { return Topic("merged:" + job.String()) }

// EventsTopic is the topic of a workspace's events: one was made or changed.
func EventsTopic(workspace cronium.ID) Topic { return Topic("events:" + workspace.String()) }

// ServersTopic is the topic of a workspace's servers: one came, went or changed.
func ServersTopic(workspace cronium.ID) Topic { return Topic("servers:" + workspace.String()) }

// SchedulesTopic is the topic of a workspace's schedules: one was made, changed
// or has fired.
func SchedulesTopic(workspace cronium.ID) Topic { return Topic("schedules:" + workspace.String()) }

// WebhooksTopic is the topic of a workspace's webhooks: one was made or changed,
// or something came to it.
func WebhooksTopic(workspace cronium.ID) Topic { return Topic("webhooks:" + workspace.String()) }

// DueTopic is for server processes alone: something may be due earlier than they
// know.
const DueTopic Topic = "due"

// CancelTopic is for server processes alone: cancel was asked for some job and
// stands in the database.
const CancelTopic Topic = "cancel"

// EndsTopic is for server processes alone: a job has ended after which something
// follows.
const EndsTopic Topic = "ends"

// AgentsTopic is for server processes alone: the keys of installed agents have
// changed, so whoever holds connections looks which may stay.
const AgentsTopic Topic = "agents"
