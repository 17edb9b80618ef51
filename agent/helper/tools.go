package helper

import "encoding/json"

// toolCommands are those that send something by a tool.
func toolCommands() []command {
	return []command{
		{"execute-tool-action", "TOOL ACTION [JSON] [CREDENTIAL]", "have a tool do something and print what came of it", executeToolAction},
		{"send-email", "TO SUBJECT BODY [CREDENTIAL]", "send an e-mail", sendEmail},
		{"send-slack-message", "TEXT [CREDENTIAL]", "send a message to Slack", func(s *script, args []string) error { return sendMessage(s, "slack", args) }},
		{"send-discord-message", "TEXT [CREDENTIAL]", "send a message to Discord", func(s *script, args []string) error { return sendMessage(s, "discord", args) }},
	}
}

// toolParams are those of tool.execute. Without the name of a credential the
// server takes the tool's only one.
type toolParams struct {
	Tool       string `json:"tool"`
	Action     string `json:"action"`
	Config     any    `json:"config"`
	Credential string `json:"credential,omitempty"`
}

// argument is one that may be left out.
func argument(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

func executeToolAction(s *script, args []string) error {
	if err := takes("execute-tool-action", args, 2, 4); err != nil {
		return err
	}
	config := json.RawMessage("{}")
	if len(args) > 2 {
		var err error
		if config, err = s.json(args[2]); err != nil {
			return err
		}
	}
	result, err := s.client.call("tool.execute", toolParams{args[0], args[1], config, argument(args, 3)})
	if err != nil {
		return err
	}
	return printValue(result, s.stdout)
}

func sendEmail(s *script, args []string) error {
	if err := takes("send-email", args, 3, 4); err != nil {
		return err
	}
	body, err := s.text(args[2])
	if err != nil {
		return err
	}
	config := map[string]string{"to": args[0], "subject": args[1], "body": string(body)}
	_, err = s.client.call("tool.execute", toolParams{"email", "send", config, argument(args, 3)})
	return err
}

// sendMessage sends a text by a tool whose action is named send.
func sendMessage(s *script, tool string, args []string) error {
	if err := takes("send-"+tool+"-message", args, 1, 2); err != nil {
		return err
	}
	text, err := s.text(args[0])
	if err != nil {
		return err
	}
	_, err = s.client.call("tool.execute", toolParams{tool, "send", map[string]string{"text": string(text)}, argument(args, 1)})
	return err
}
