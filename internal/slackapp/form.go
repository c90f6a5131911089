package slackapp

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/slack-go/slack"

	"github.com/qlik-chatops/bot/internal/commands"
)

const formCallback = "command"

// maxInitial is how much an input can be filled with.
const maxInitial = 2900

// formMeta travels in a form's private_metadata. It is read back as what a
// person could have sent: the desk checks all of it.
type formMeta struct {
	Command string `json:"command"`
	Channel string `json:"channel"`
}

func parseMeta(s string) (formMeta, error) {
	var m formMeta
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		return m, errors.New("the form's private_metadata cannot be read")
	}
	return m, nil
}

// Form is a command's form to be opened.
type Form struct {
	Spec    commands.Spec
	Channel string
	// Given fills fields, by name; Tenants are the choices of a tenant field.
	Given   map[string][]string
	Tenants []string
}

// OpenForm opens a form, within the three seconds that the trigger lives.
func (a *App) OpenForm(ctx context.Context, trigger string, f Form) error {
	for _, given := range f.Given {
		// Cutting it would make another address of the last one.
		if len([]rune(strings.Join(given, " "))) > maxInitial {
			return &APIError{Method: "views.open", Kind: ErrRejected, Detail: "what was typed does not fit into a form"}
		}
	}
	meta, err := json.Marshal(formMeta{Command: f.Spec.Name, Channel: f.Channel})
	if err != nil {
		return err
	}
	blocks := []slack.Block{slack.NewSectionBlock(plain(f.Spec.Summary+".", maxLine), nil, nil)}
	for _, field := range f.Spec.Fields {
		if in := input(field, f); in != nil {
			blocks = append(blocks, in)
		}
	}
	_, err = a.api.OpenViewContext(ctx, trigger, slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: formCallback, PrivateMetadata: string(meta),
		Title: plain(a.cfg.Command+" "+f.Spec.Name, 24), Submit: plain("Continue", 24), Close: plain("Cancel", 24),
		Blocks: slack.Blocks{BlockSet: blocks},
	})
	return classify("views.open", err)
}

// input is one field. Its block ID is the field's name, which is also where
// an error about it is shown.
func input(field commands.Field, f Form) slack.Block {
	given := f.Given[field.Name]
	first := firstOf(given...)
	var element slack.BlockElement
	switch field.Control {
	case commands.ControlTenant:
		if len(f.Tenants) == 0 {
			return nil
		}
		options := make([]*slack.OptionBlockObject, 0, len(f.Tenants))
		var initial *slack.OptionBlockObject
		for _, t := range f.Tenants[:min(len(f.Tenants), 100)] {
			o := slack.NewOptionBlockObject(t, plain(t, 75), nil)
			if t == first {
				initial = o
			}
			options = append(options, o)
		}
		sel := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plain("Choose a tenant", 150), "value", options...)
		sel.InitialOption = initial
		element = sel
	default:
		in := slack.NewPlainTextInputBlockElement(nil, "value")
		in.Multiline = field.Control == commands.ControlEmails || field.Control == commands.ControlReason
		in.InitialValue = strings.Join(given, " ")
		element = in
	}
	var hint *slack.TextBlockObject
	if field.Hint != "" {
		hint = plain(field.Hint, 2000)
	}
	b := slack.NewInputBlock(field.Name, plain(field.Label, 2000), hint, element)
	b.Optional = !field.Required
	return b
}

// formValue is the state of one input, whatever its control.
type formValue struct {
	Value          string `json:"value"`
	SelectedUser   string `json:"selected_user"`
	SelectedOption *struct {
		Value string `json:"value"`
	} `json:"selected_option"`
}

func formValues(state map[string]map[string]formValue) map[string][]string {
	values := map[string][]string{}
	for block, actions := range state {
		for _, v := range actions {
			switch {
			case v.SelectedOption != nil && v.SelectedOption.Value != "":
				values[block] = append(values[block], v.SelectedOption.Value)
			case v.SelectedUser != "":
				values[block] = append(values[block], "<@"+v.SelectedUser+">")
			case v.Value != "":
				values[block] = append(values[block], v.Value)
			}
		}
	}
	return values
}
