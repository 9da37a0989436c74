"""Chat templates of many manners, written small for the tests: none of them is known to the code by name."""

TEMPLATES = {
    "chatml": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "thinking": (  # drops earlier reasoning, opens a think block in the generation prompt
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.role == 'assistant' and loop.last %}<think>\n{{ m.reasoning_content or '' }}\n</think>\n\n{% endif %}"
        "{{ m.content.split('</think>')[-1].lstrip('\n') }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
    ),
    "inst": (  # no assistant header, and the system turn moves into the last user turn
        "{{ bos_token }}{% set system = messages[0].content if messages[0].role == 'system' else '' %}"
        "{% set rest = messages[1:] if system else messages %}"
        "{% set last = rest | selectattr('role', 'equalto', 'user') | list | last %}"
        "{% for m in rest %}{% if m.role == 'user' %}[INST] {% if system and m is sameas last %}"
        "{{ system }}\n\n{% endif %}{{ m.content }}[/INST]"
        "{% else %} {{ m.content | trim }}{{ eos_token }}{% endif %}{% endfor %}"
    ),
    "plain words": (  # no special token but the end of text
        "{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }}\n"
        "{% elif m.role == 'assistant' %}ASSISTANT: {{ m.content }}{{ eos_token }}\n"
        "{% else %}{{ m.content }}\n{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    ),
    "channels": (  # ends the last turn with another token than the earlier ones
        "{% for m in messages %}<|start|>{{ m.role }}{{ '<|channel|>final' if m.role == 'assistant' else '' }}"
        "<|message|>{{ m.content }}{{ '<|return|>' if loop.last and m.role == 'assistant' else '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
    ),
    "turns": (  # another name for the assistant, trimmed contents, the system turn inside the user's
        "{{ bos_token }}{% set first = messages[0].content + '\n\n' if messages[0].role == 'system' else '' %}"
        "{% for m in (messages[1:] if first else messages) %}<start_of_turn>"
        "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ first if loop.first else '' }}{{ m.content | trim }}"
        "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    ),
    "tokens": (  # header tokens that share their beginning and their end
        "{% set names = {'user': 'USER', 'assistant': 'BOT', 'system': 'SYSTEM'} %}"
        "{% for m in messages %}<|TURN|><|{{ names[m.role] }}_TOKEN|>{{ m.content }}<|END|>{% endfor %}"
        "{% if add_generation_prompt %}<|TURN|><|BOT_TOKEN|>{% endif %}"
    ),
    "after tools": (  # no header after a tool's answer, and the arguments of a call joined as a string
        "{% for m in messages %}{% if m.role == 'user' %}<|USER_TOKEN|>{{ m.content }}"
        "{% elif m.role == 'assistant' %}{% if loop.first or messages[loop.index0 - 1].role != 'tool' %}<|BOT_TOKEN|>"
        "{% endif %}{{ m.content }}{% for call in m.tool_calls or [] %}"
        "{{ '<|TURN|>' + call.function.name + ' ' + call.function.arguments + '<|END|>' }}{% endfor %}{{ eos_token }}"
        "{% else %}<|start|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt and messages[-1].role != 'tool' %}<|BOT_TOKEN|>{% endif %}"
    ),
    "marked": (  # says itself what is generated
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
        "<|im_end|>\n{% endgeneration %}{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
}

SPECIALS = [
    "<s>",
    "</s>",
    "<unk>",
    *("<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<|start|>", "<|channel|>", "<|message|>", "<|end|>"),
    *("<|return|>", "<start_of_turn>", "<end_of_turn>", "<|TURN|>", "<|USER_TOKEN|>", "<|BOT_TOKEN|>", "<|END|>"),
    "<|SYSTEM_TOKEN|>",
]

ASK, ANSWER = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
"""A question and its answer, the shortest there are."""

ONLY_THESE = (
    "{% for m in messages %}{% if m.role in ROLES %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}"
)
"""A template of the messages whose roles take the place of ROLES; `{% endfor %}` is still to come."""
