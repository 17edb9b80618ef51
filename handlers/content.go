package handlers

import (
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/inputschema"
	"cronium.dev/template"
)

// checkContent tells what of a content may not be saved, beyond the domain's
// rules, which the store checks: what only an administrator may choose, what is
// switched off here, a schema that cannot be used, a default input that does not
// fit it. Pages and API call it before they save.
func (h *Handlers) checkContent(p *cronium.Principal, content *cronium.Content) error {
	full := content.Network == cronium.NetworkFull
	if full && p.TokenID != nil && p.Role == cronium.RoleAdmin && !p.Can(cronium.PermissionAdmin) {
		return cronium.Errorf(cronium.CodeForbidden,
			"The network full needs a token of the scope %s; this one has the scope %s.", cronium.ScopeFor(cronium.PermissionAdmin), p.Scope)
	}
	problems := content.Validate()
	problems.Add(!full || p.Can(cronium.PermissionAdmin), "network",
		"full may be chosen by an administrator alone, because it reaches this server's own network; internet and none may be chosen by everybody")
	problems.Add(content.Target != cronium.TargetProcess || h.ProcessTarget, "target",
		"process is switched off on this server: it runs scripts without isolation. Choose container")
	problems = append(problems, groupProblems(content.Group)...)
	problems = append(problems, requestProblems(content)...)
	if err := problems.Err("The event"); err != nil {
		return err
	}
	schema, err := inputschema.Compile(content.InputSchema)
	if err != nil {
		return err
	}
	if len(content.Input) > 0 {
		return schema.Validate(content.Input).Err("The default input")
	}
	return nil
}

// groupProblems are what is wrong with a group's key as a template: it may name
// values of the input alone.
func groupProblems(group *cronium.Group) (p cronium.Problems) {
	if group == nil {
		return nil
	}
	key, err := template.Parse(group.Key)
	if err != nil {
		p.Add(false, "group.key", "cannot be read: %s", err)
		return p
	}
	unknown := key.Unknown([]string{"input.*"})
	p.Add(len(unknown) == 0, "group.key", "may name values of the input alone, like {{input.customer}}, and not %s", strings.Join(unknown, ", "))
	return p
}
