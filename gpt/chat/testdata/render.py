"""render.py CONVERSATIONS TEMPLATES writes what Jinja2 makes of each template in the folder TEMPLATES, set up as
Hugging Face's transformers has it, with each of the conversations in a file: JSON, a line each."""

import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox


class Generation(jinja2.ext.Extension):
    """The tag with which templates mark what a model is trained on. It writes its content."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        return jinja2.nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)


def refuse(message):
    raise jinja2.TemplateError(message)


environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])
environment.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
    x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
environment.globals["raise_exception"] = refuse
environment.globals["strftime_now"] = datetime.datetime(2026, 1, 5, 13, 4, 9).strftime

conversations, templates = sys.argv[1:]
for file in sorted(pathlib.Path(templates).glob("*.jinja")):
    for values in json.loads(pathlib.Path(conversations).read_text()):
        result = {"template": file.name, "conversation": values.pop("name")}
        try:
            template = environment.from_string(file.read_text())
            result["text"] = template.render(**{"tools": None, "documents": None, "bos_token": "<s>", "eos_token": "</s>"} | values)
        except Exception as error:
            result["error"] = str(error)
        print(json.dumps(result))
