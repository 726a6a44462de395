"""Problems: the one table of everything that can go wrong, for both ends of the wire.

The server answers with a code of this table, the SDK raises the class of that code, and
`/problems/{code}` explains it. Codes never change; texts may.
"""

from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from tunery.types._meta import MAX_INT, Answer, about


class FieldError(Answer, kw_only=True, frozen=True):
    """One place of the input that is wrong."""

    code: Annotated[str, about("Stable, see `/problems/{code}`.", "out-of-range")]
    message: Annotated[str, about("What is wrong there.", "must be at most 1.0")]
    pointer: Annotated[str | None, about("JSON pointer.", "/hyperparameters/learning_rate")] = None
    line: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_INT)] | None, about("1-based line of a file.", None, 118)
    ] = None
    column: Annotated[str | None, about("Column of a file.", None, "text")] = None


class Problem(Answer, kw_only=True, frozen=True):
    """An error answer.

    Source: RFC 9457, `application/problem+json`; `code`, `hint` and `errors` are extensions.
    """

    type: Annotated[str, about("A page about this problem.", "/problems/unknown-field")]
    title: Annotated[str, about("The same for every problem of this code.", "Unknown field")]
    status: Annotated[int, about("HTTP status.", 422, ge=400, le=599)]
    detail: Annotated[str, about("What was wrong this time.", "learning_rte is not a field")]
    instance: Annotated[str, about("The request id.", "req_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    code: Annotated[str, about("Stable name.", "unknown-field")]
    hint: Annotated[str, about("What to do.", "Did you mean learning_rate?")]
    errors: Annotated[list[FieldError], about("At most 100 places.")] = []


class ErrorInfo(Answer, kw_only=True, frozen=True):
    """Why a dataset was rejected, a job failed, or a deployment is not what was asked for."""

    code: Annotated[str, about("Stable, see `/problems/{code}`.", "crash-loop")]
    message: Annotated[str, about("What went wrong.", "the trainer died three times")]
    hint: Annotated[str, about("What to do.", "See the log of the last attempt.")]
    log_tail: Annotated[
        str | None, about("The last lines of the child's log.", None, "MemoryError\n")
    ] = None


class ProblemPage(Answer, kw_only=True, frozen=True):
    """What a problem code means, and what to do."""

    code: Annotated[str, about("Stable name.", "unknown-field")]
    status: Annotated[
        Annotated[int, Meta(ge=400, le=599)] | None,
        about("HTTP status; null for what only ends on a resource.", 422),
    ]
    title: Annotated[str, about("In one line.", "Unknown field")]
    hint: Annotated[str, about("What to do.", "See the detail.")]
    explanation: Annotated[str, about("Causes and remedies, as Markdown.", "A field of …")]


class ProblemKind(NamedTuple):
    """One row of the table: `status` is null for what only ends on a resource."""

    code: str
    status: int | None
    title: str
    hint: str
    title_zh: str
    hint_zh: str

    def texts(self, language: Literal["en", "zh"]) -> tuple[str, str]:
        """Return title and hint in a language."""
        return (self.title_zh, self.hint_zh) if language == "zh" else (self.title, self.hint)


_TABLE = (
    # The request as HTTP and JSON
    ("malformed-json", 400, "The body is not JSON", "Send one JSON value as UTF-8 without BOM.",
     "正文不是 JSON", "请发送一个不带 BOM 的 UTF-8 JSON 值。"),
    ("empty-body", 400, "The request has no body", "Send a JSON object.",
     "请求没有正文", "请发送一个 JSON 对象。"),
    ("invalid-utf8", 400, "The bytes are not UTF-8", "Encode the text as UTF-8.",
     "字节不是 UTF-8", "请用 UTF-8 编码文本。"),
    ("json-too-deep", 400, "The JSON is nested too deeply", "Flatten it.",
     "JSON 嵌套过深", "请减少嵌套层数。"),
    ("invalid-unicode", 400, "The text holds half a surrogate pair",
     "Send whole code points.", "文本含有不成对的代理字符", "请发送完整的码点。"),
    ("incomplete-body", 400, "The body ended early", "Send as many bytes as Content-Length says.",
     "正文提前结束", "发送的字节数应与 Content-Length 一致。"),
    ("bad-idempotency-key", 400, "The Idempotency-Key is not usable",
     "Use 1 to 200 printable ASCII characters.", "Idempotency-Key 不可用",
     "请使用 1 到 200 个可打印的 ASCII 字符。"),
    ("ambiguous-credentials", 400, "More than one credential was sent",
     "Send one Authorization header.", "发送了多个凭据", "请只发送一个 Authorization 头。"),
    ("bad-request", 400, "The request can't be understood", "See the detail.",
     "无法理解该请求", "请看 detail。"),
    ("missing-credentials", 401, "No API key was sent",
     "Send `Authorization: Bearer tnr_…`; the first key is in <data dir>/admin.key.",
     "没有发送 API 密钥",
     "请发送 `Authorization: Bearer tnr_…`；首个密钥在 <数据目录>/admin.key。"),
    ("invalid-credentials", 401, "The API key is not valid",
     "Check the key; the first one is in <data dir>/admin.key.",
     "API 密钥无效", "请检查密钥；首个密钥在 <数据目录>/admin.key。"),
    ("insufficient-scope", 403, "The key may not do this", "Use a key with a wider scope.",
     "该密钥无权执行此操作", "请使用权限更大的密钥。"),
    ("not-found", 404, "There is nothing here", "Check the path and the id.",
     "这里什么也没有", "请检查路径和 id。"),
    ("key-not-found", 404, "There is no such key", "List them with GET /keys.",
     "没有这个密钥", "请用 GET /keys 列出。"),
    ("method-not-allowed", 405, "The path has no such method", "See the Allow header.",
     "该路径不支持此方法", "请看 Allow 头。"),
    ("body-timeout", 408, "The body came too slowly", "Send at least 1 KB/s.",
     "正文发送过慢", "请至少以 1 KB/s 的速度发送。"),
    ("conflict", 409, "The resource is not in a state for this", "Fetch it and look at its status.",
     "资源当前状态不允许此操作", "请获取该资源并查看其状态。"),
    ("last-admin-key", 409, "It is the last admin key",
     "Make another admin key that lasts as long first.", "这是最后一个管理员密钥",
     "请先创建另一个有效期不短于它的管理员密钥。"),
    ("body-too-large", 413, "The body is too large", "Send less, or split it.",
     "正文过大", "请减少内容或分批发送。"),
    ("unsupported-media-type", 415, "The media type is not supported",
     "Send the Content-Type that the detail names.", "不支持的媒体类型",
     "请发送 detail 中给出的 Content-Type。"),
    ("unsupported-content-encoding", 415, "Compressed bodies are not supported",
     "Send the body as it is.", "不支持压缩的正文", "请发送未压缩的正文。"),
    ("misdirected-request", 421, "The Host is not one of this service",
     "Use the address that the service was started with, or add it to allowed_hosts.",
     "Host 不属于本服务", "请使用服务启动时的地址，或把它加入 allowed_hosts。"),
    ("schema-violation", 422, "A field has the wrong type", "See errors.",
     "字段类型错误", "请看 errors。"),
    ("unknown-field", 422, "The object has a field that is not known", "See the detail.",
     "对象含有未知字段", "请看 detail。"),
    ("missing-required-field", 422, "A field is missing", "See errors.",
     "缺少字段", "请看 errors。"),
    ("out-of-range", 422, "A value is outside its bounds", "See errors.",
     "值超出范围", "请看 errors。"),
    ("invalid-pagination", 422, "The page can't be asked for like this",
     "Use limit 1 to 100, and the last_id of a page as after.",
     "分页参数无效", "limit 取 1 到 100，after 取上一页的 last_id。"),
    ("invalid-deadline", 422, "X-Request-Timeout-Ms is not usable",
     "Use whole milliseconds, 1 to 600000.", "X-Request-Timeout-Ms 不可用",
     "请使用 1 到 600000 的整数毫秒。"),
    ("invalid-after", 422, "There is no such place in the events", "Use the seq of an event.",
     "事件中没有该位置", "请使用某个事件的 seq。"),
    ("idempotency-key-reused", 422, "The Idempotency-Key was used for another request",
     "Make a new key for a new request.", "Idempotency-Key 已用于另一个请求",
     "新的请求请使用新的键。"),
    ("request-in-progress", 409, "The first request with this key is still running",
     "Ask again shortly.", "使用该键的首个请求仍在进行", "请稍后再试。"),
    ("rate-limited", 429, "Too many requests", "Wait as long as Retry-After says.",
     "请求过多", "请按 Retry-After 等待。"),
    ("too-many-queued-jobs", 429, "The queue of this project is full",
     "Wait until a job has ended, or cancel one.", "该项目的队列已满",
     "请等待任务结束或取消一个任务。"),
    ("too-many-streams", 429, "Too many event streams are open", "Close one, or poll.",
     "打开的事件流过多", "请关闭一个，或改用轮询。"),
    ("internal-error", 500, "tunery made a mistake",
     "Look for the request id in the server's log.", "tunery 出错了",
     "请在服务器日志中查找该请求 id。"),
    ("storage-io-error", 500, "The disk refused a write", "Look at the server's log.",
     "磁盘拒绝写入", "请看服务器日志。"),
    ("server-starting", 503, "The service is starting", "Wait as long as Retry-After says.",
     "服务正在启动", "请按 Retry-After 等待。"),
    ("draining", 503, "The service is stopping", "Try again when it is back.",
     "服务正在停止", "请等服务恢复后再试。"),
    ("insufficient-storage", 507, "The disk is full", "Free space in the data directory.",
     "磁盘已满", "请在数据目录释放空间。"),
    # Files and datasets
    ("empty-file", 422, "The file is empty", "Send rows.", "文件为空", "请发送数据行。"),
    ("unsupported-format", 415, "The format is not one that tunery reads",
     "Send CSV or JSONL.", "不支持的文件格式", "请发送 CSV 或 JSONL。"),
    ("format-mismatch", 422, "The bytes are not what Content-Type says",
     "Name the true media type.", "字节与 Content-Type 不符", "请给出真实的媒体类型。"),
    ("digest-mismatch", 422, "The Content-Digest does not match the bytes", "Send it again.",
     "Content-Digest 与字节不符", "请重新发送。"),
    ("file-in-use", 409, "A dataset is being made from this file", "Wait until it is ready.",
     "有数据集正在由该文件生成", "请等待其完成。"),
    ("invalid-name", 422, "The name is not usable",
     "For a model or a deployment use 1 to 64 of a-z, 0-9 and . _ -, a letter or digit at both "
     "ends; else 1 to 128 characters without control characters or slashes.",
     "名称不可用",
     "模型和部署请使用 1 到 64 个 a-z、0-9 和 . _ -，首尾为字母或数字；"
     "其他名称请使用 1 到 128 个字符，不含控制字符和斜杠。"),
    ("name-taken", 409, "A name that differs only in case exists", "Use that name, or another.",
     "已存在仅大小写不同的名称", "请使用该名称或换一个。"),
    ("invalid-split", 422, "The split can't be made", "Let the shares be positive and sum to 1.",
     "无法如此划分", "各份额应为正数且总和为 1。"),
    ("dataset-not-found", 404, "There is no such dataset", "List them with GET /datasets.",
     "没有这个数据集", "请用 GET /datasets 列出。"),
    ("dataset-not-ready", 409, "The dataset is not ready",
     "Wait until it is ready; where it was rejected, see its report.",
     "数据集尚未就绪", "请等待其就绪；若已被拒绝，请看其报告。"),
    ("dataset-in-use", 409, "A running job uses the dataset", "Wait for it, or cancel it.",
     "有运行中的任务在使用该数据集", "请等待或取消该任务。"),
    ("label-issues-not-found", 404, "Nobody has looked for label issues in this dataset",
     "Look with POST /datasets/{id}/label-issues, and wait for its job.",
     "尚未在该数据集中查找标签问题",
     "请用 POST /datasets/{id}/label-issues 查找，并等待其任务完成。"),
    ("no-rows", None, "The file has no rows", "Add rows below the header.",
     "文件没有数据行", "请在表头下添加数据行。"),
    ("missing-column", None, "A column is missing", "Name the columns in `columns`.",
     "缺少列", "请在 `columns` 中指定列名。"),
    ("duplicate-column", None, "A column name stands twice", "Rename one of them.",
     "列名重复", "请重命名其中一列。"),
    ("too-many-columns", None, "The file has too many columns", "Keep the text and the label.",
     "列数过多", "请只保留文本列和标签列。"),
    ("unbalanced-quote", None, "A quote is opened and never closed",
     'Close it, or double it ("") where it is meant as text.',
     "引号未闭合", '请闭合引号；若是文本内容，请写成两个引号（""）。'),
    ("ragged-row", None, "A row has more or fewer cells than the header",
     "Quote cells that hold the delimiter.", "行的列数与表头不符", "含有分隔符的单元格请加引号。"),
    ("cell-too-large", None, "A cell is too large", "Shorten the text.",
     "单元格过大", "请缩短文本。"),
    ("line-too-large", None, "A line is too long", "Break the file into lines.",
     "行过长", "请将文件分行。"),
    ("malformed-json-line", None, "A line is not JSON", "Write one JSON object a line.",
     "某行不是 JSON", "请每行写一个 JSON 对象。"),
    ("not-an-object", None, "A line is not a JSON object", "Write one JSON object a line.",
     "某行不是 JSON 对象", "请每行写一个 JSON 对象。"),
    ("missing-field", None, "A line lacks a field", "Give every line a text and a label.",
     "某行缺少字段", "每行都要有文本和标签。"),
    ("duplicate-key", None, "An object has a key twice", "Remove one of them.",
     "对象的键重复", "请删除其中一个。"),
    ("wrong-type", None, "A field has the wrong type", "Write texts as JSON strings.",
     "字段类型错误", "文本请写成 JSON 字符串。"),
    ("nul-byte", None, "A cell holds a NUL byte", "Remove it.",
     "单元格含有 NUL 字节", "请删除它。"),
    ("empty-text", 422, "The text is empty", "Fill it in, or set policies.empty to drop.",
     "文本为空", "请填写文本，或将 policies.empty 设为 drop。"),
    ("null-label", None, "The label is missing", "Fill it in, or remove the row.",
     "缺少标签", "请填写标签，或删除该行。"),
    ("invalid-label", None, "The label is not usable",
     "Use 1 to 256 characters without control characters.",
     "标签不可用", "请使用 1 到 256 个字符，不含控制字符。"),
    ("not-a-number", None, "The label is no finite number",
     "Write a decimal number, such as 3.5 or 1e-3.", "标签不是有限的数",
     "请写十进制数，例如 3.5 或 1e-3。"),
    ("unknown-label", 422, "The dataset has no such label", "See `labels` of the dataset.",
     "数据集没有这个标签", "请看数据集的 `labels`。"),
    ("unknown-row", None, "The dataset has no such row", "See its rows, with their lines.",
     "数据集没有这一行", "请查看各行及其行号。"),
    ("single-class", None, "There is only one label", "A classifier needs at least two.",
     "只有一个标签", "分类至少需要两个标签。"),
    ("too-many-classes", None, "There are too many labels for these rows",
     "Check that the label column is the right one.", "标签数相对行数过多",
     "请检查标签列是否正确。"),
    ("unseen-label", None, "A held-out split has a label that train lacks",
     "Add training rows of that label.", "留出集含有训练集没有的标签",
     "请为该标签添加训练数据。"),
    ("class-too-small", None, "A label has too few rows to stand in every split",
     "Add rows; until then all of them train.", "标签的数据太少，无法分到每个划分",
     "请添加数据；在此之前全部用于训练。"),
    ("near-duplicate-labels", None, "Labels look like variants of one",
     "Merge them with policies.labels, or correct the file.",
     "某些标签像是同一标签的不同写法", "请用 policies.labels 合并，或修改文件。"),
    ("confusable-label", None, "A label holds characters that deceive the eye",
     "Type the label anew, without copying it.",
     "标签含有易混淆的字符", "请重新键入该标签，不要复制粘贴。"),
    ("untested-label", None, "No test row has the label",
     "Add rows of it, or give a test file that has some.", "测试集中没有该标签",
     "请添加该标签的行，或提供包含它的测试文件。"),
    ("exact-duplicates", None, "Rows repeat others", "Drop them with policies.duplicates.",
     "存在重复的行", "可用 policies.duplicates 去除。"),
    ("conflicting-duplicates", None, "One text stands under several labels",
     "Decide which label is right, or set policies.conflicts.",
     "同一文本有多个标签", "请确定正确的标签，或设置 policies.conflicts。"),
    ("constant-text", None, "All texts are the same", "Check that the text column is right.",
     "所有文本都相同", "请检查文本列是否正确。"),
    ("leakage", None, "A training text stands in a held-out split, too",
     "It was handled as policies.leakage says.", "训练文本也出现在留出集中",
     "已按 policies.leakage 处理。"),
    ("unknown-tokens", None, "The base model's vocabulary lacks much of these texts",
     "Use a base model whose vocabulary has this language.",
     "基础模型的词表缺少这些文本中的许多词",
     "请使用词表包含该语言的基础模型。"),
    ("texts-truncated", None, "Texts are longer than the base model takes",
     "Split them, or use a base model with more positions.",
     "文本超过基础模型的长度上限", "请拆分文本，或使用位置数更多的基础模型。"),
    ("personal-data", None, "Texts hold personal data",
     "Make a version without it by the transform `redact`.",
     "文本含有个人信息", "请用 `redact` 变换生成一个去除了个人信息的版本。"),
    ("near-duplicates", None, "A training text is nearly one of a held-out split",
     "It was handled as policies.leakage says.", "训练文本与留出集中的文本几乎相同",
     "已按 policies.leakage 处理。"),
    ("bridging-row", None, "A new row is like rows of two splits",
     "Nothing: it was left out, so that test stays unseen.", "新行与两个划分中的行相似",
     "无需处理：该行已去除，以保证测试集未被看到。"),
    ("mixed-label-type", None, "The labels are numbers and strings",
     "Write all of them as strings, or set policies.labels to merge.", "标签既有数字又有字符串",
     "请都写成字符串，或将 policies.labels 设为 merge。"),
    ("invalid-time", None, "A time can't be read",
     "Write ISO 8601, such as 2026-11-26T08:00:00Z, or a number.", "时间无法读取",
     "请使用 ISO 8601（如 2026-11-26T08:00:00Z）或数字。"),
    ("unreadable-parquet", None, "The Parquet can't be read", "Write it anew.",
     "无法读取 Parquet", "请重新写出该文件。"),
    ("unsupported-column-type", None, "The column holds no text",
     "Write it as a column of strings.", "该列不是文本", "请写成字符串列。"),
    ("decoded-too-large", None, "The file unpacks to more than is read",
     "Split it into several files.", "文件解压后超过上限", "请拆分为多个文件。"),
    ("dataset-too-large", None, "The dataset is larger than allowed",
     "Raise the limit, or send fewer rows.", "数据集超过上限", "请提高上限或减少行数。"),
    # Fine-tuning and evaluation
    ("unknown-base-model", 422, "The base model is neither on the allowlist nor a version",
     "List what is with GET /base-models and GET /models.",
     "基础模型既不在允许列表中，也不是一个版本",
     "请用 GET /base-models 和 GET /models 列出。"),
    ("batch-exceeds-dataset", 422, "The batch is larger than the training split",
     "Lower batch_size.", "批大小超过训练集", "请减小 batch_size。"),
    ("max-length-exceeds-model", 422, "The model has fewer positions than max_length",
     "Lower max_length.", "max_length 超过模型的位置数", "请减小 max_length。"),
    ("unsupported-precision", 422, "The device can't compute in this precision",
     "Leave precision at auto.", "设备不支持该精度", "请将 precision 设为 auto。"),
    ("disk-budget-exceeded", 422, "The fine-tune may take more disk than allowed",
     "Raise max_disk_gb, or keep fewer checkpoints.", "微调占用的磁盘可能超过预算",
     "请提高 max_disk_gb，或减少保留的检查点。"),
    ("insufficient-devices", 422, "There are fewer devices",
     "Ask for at most as many as there are.",
     "设备数量不足", "请求的设备数不应超过现有数量。"),
    ("job-not-found", 404, "There is no such job", "List them with GET /jobs.",
     "没有这个任务", "请用 GET /jobs 列出。"),
    ("job-not-resumable", 409, "Only a paused job can be resumed", "Look at its status.",
     "只有已暂停的任务可以继续", "请查看其状态。"),
    ("model-not-found", 404, "There is no such model",
     "List models with GET /models, and what serves with GET /deployments.",
     "没有这个模型", "请用 GET /models 列出模型，用 GET /deployments 列出正在服务的部署。"),
    ("model-not-ready", 409, "The model is not finished", "Wait for its job.",
     "模型尚未完成", "请等待其任务完成。"),
    ("model-in-use", 409, "A deployment uses this version", "Deploy another one first.",
     "有部署正在使用该版本", "请先部署另一个版本。"),
    ("checkpoint-not-found", 404, "There is no such checkpoint",
     "List them with GET /jobs/{id}/checkpoints.", "没有这个检查点",
     "请用 GET /jobs/{id}/checkpoints 列出。"),
    ("evaluation-not-found", 404, "There is no such evaluation",
     "List them with GET /evaluations.", "没有这个评估", "请用 GET /evaluations 列出。"),
    ("not-evaluated", 409, "There is no evaluation to compare",
     "Evaluate both versions on the same dataset and split.", "没有可供比较的评估",
     "请在同一数据集和划分上评估两个版本。"),
    ("split-not-held-out", 422, "The split was trained on",
     "Evaluate on test, or set allow_train.", "该划分用于过训练",
     "请在 test 上评估，或设置 allow_train。"),
    ("label-mismatch", 422, "Dataset and model have different labels", "See the detail.",
     "数据集与模型的标签不同", "请看 detail。"),
    ("pair-mismatch", 422, "The model reads single texts, or pairs of texts",
     "Send what it was trained on: a text, or an object with `text` and `text_pair`.",
     "模型读取的是单条文本或文本对",
     "请发送与训练时相同的形式：一条文本，或含 `text` 和 `text_pair` 的对象。"),
    ("not-for-task", 422, "The hyperparameter is not for this task", "Leave it out.",
     "该超参数不适用于此任务类型", "请去掉它。"),
    ("no-such-metric", 422, "The task or the labels have no such metric",
     "Name a metric of the task, or one of a label as recall@label.",
     "该任务或这些标签没有这个指标", "请使用该任务的指标，或写成 recall@标签 的形式。"),
    ("too-few-validation-rows", 422, "There are too few validation rows to abstain by",
     "Keep more rows for validation, ask for less precision, or leave abstain out.",
     "用于弃答的验证数据太少", "请保留更多验证数据，降低要求的精确率，或去掉 abstain。"),
    ("task-mismatch", 422, "The dataset is for another task", "Use a dataset of this task.",
     "数据集属于另一种任务", "请使用该任务的数据集。"),
    ("no-such-layer", None, "The base model has fewer layers",
     "Lower freeze or reinit_top_layers.", "基础模型没有这么多层",
     "请减小 freeze 或 reinit_top_layers。"),
    ("unusual-learning-rate", None, "The learning rate is far from the usual one",
     "Let learning_rate be auto, unless you mean it.", "学习率与常用值相差很大",
     "除非有意为之，请将 learning_rate 设为 auto。"),
    ("warmup-exceeds-training", None, "The warm-up is longer than the run",
     "Lower warmup, or train for longer.", "预热比训练还长", "请减小 warmup，或延长训练。"),
    ("non-finite-loss", None, "The loss became NaN or infinite", "Lower the learning rate.",
     "损失变为 NaN 或无穷", "请降低学习率。"),
    ("out-of-memory", None, "Memory ran out", "Lower max_length or batch_size.",
     "内存不足", "请减小 max_length 或 batch_size。"),
    ("crash-loop", None, "The child died three times", "See the log of the last attempt.",
     "子进程已崩溃三次", "请看最后一次尝试的日志。"),
    ("worker-lost", None, "The child died", "It is tried again from its last checkpoint.",
     "子进程已退出", "将从最后一个检查点重试。"),
    ("stalled", None, "The child made no progress", "It is tried again from its last checkpoint.",
     "子进程没有进展", "将从最后一个检查点重试。"),
    ("checkpoint-corrupt", None, "A file is not what its manifest says",
     "Deploy or resume from another checkpoint.", "文件与清单不符",
     "请从其他检查点部署或继续。"),
    ("parity-failed", None, "The exported model answers otherwise than the trained one",
     "Report it; the checkpoint itself is intact.", "导出的模型与训练的模型结果不一致",
     "请报告此问题；检查点本身完好。"),
    ("never-answered", None, "Some labels are never answered",
     "Ask for less precision, or add validation rows of these labels.",
     "有的标签从不给出", "请降低要求的精确率，或增加这些标签的验证数据。"),
    ("reused-test-set", None, "The test rows have been looked at often",
     "Choose by validation rows; get new test rows before the next claim.",
     "测试数据已被多次查看", "请用验证数据做选择；下次下结论之前请准备新的测试数据。"),
    ("job-error", None, "The job failed", "See the log of the last attempt.",
     "任务失败", "请看最后一次尝试的日志。"),
    # Deployments and prediction
    ("deployment-not-found", 404, "There is no such deployment",
     "List them with GET /deployments.", "没有这个部署", "请用 GET /deployments 列出。"),
    ("gate-failed", 409, "The gate does not let the version pass",
     "What serves goes on; see errors, and GET /compare.", "该版本未通过门槛",
     "正在服务的版本继续服务；请看 errors 和 GET /compare。"),
    ("no-earlier-version", 409, "There is nothing to roll back to",
     "Deploy a second version first.", "没有可回滚的版本", "请先部署第二个版本。"),
    ("etag-mismatch", 412, "The resource has changed", "Fetch it again and decide anew.",
     "资源已被更改", "请重新获取后再决定。"),
    ("load-timeout", None, "The model did not load in time", "See the server's log.",
     "模型未能及时加载", "请看服务器日志。"),
    ("load-failed", None, "The model could not be loaded", "See the server's log.",
     "模型无法加载", "请看服务器日志。"),
    ("insufficient-capacity", None, "There is no memory for this model beside the others",
     "Stop or unpin another deployment, use the strategy recreate, or raise --engine-memory.",
     "内存不足以再加载这个模型",
     "请停止或取消固定其他部署，使用 recreate 策略，或提高 --engine-memory。"),
    ("label-set-changed", None, "It has other labels than what serves now",
     "Clients may not know them. If they do, set allow_label_change.",
     "标签集合与正在服务的版本不同",
     "客户端可能不认识新标签；如已确认，请设置 allow_label_change。"),
    ("canary-failed", None, "The loaded model does not answer as it should",
     "Deploy another version.", "加载的模型回答异常", "请部署其他版本。"),
    ("empty-batch", 422, "There are no inputs", "Send at least one text.",
     "没有输入", "请至少发送一条文本。"),
    ("batch-too-large", 413, "There are too many inputs", "Send at most 256 a request.",
     "输入过多", "每个请求最多 256 条。"),
    ("text-too-large", 413, "A text is too large", "Send at most 100,000 characters a text.",
     "文本过大", "每条文本最多 100,000 个字符。"),
    ("text-too-long", 422, "A text has more tokens than the model takes",
     "Shorten it, or let truncate be true.", "文本的词元数超过模型上限",
     "请缩短文本，或将 truncate 设为 true。"),
    ("model-loading", 503, "The model is being loaded", "Wait as long as Retry-After says.",
     "模型正在加载", "请按 Retry-After 等待。"),
    ("model-unavailable", 503, "The model could not be loaded", "Look at its deployment.",
     "模型无法加载", "请查看其部署。"),
    ("overloaded", 503, "The model has more requests than it can hold",
     "Wait as long as Retry-After says.", "模型的请求已满", "请按 Retry-After 等待。"),
    ("deadline-exceeded", 504, "The deadline has passed", "Allow more time, or send less.",
     "已超过截止时间", "请增加时间或减少内容。"),
    ("engine-restarted", 503, "The model's process was replaced", "Send the request again.",
     "模型进程已被替换", "请重新发送请求。"),
)  # fmt: skip

PROBLEMS: dict[str, ProblemKind] = {row[0]: ProblemKind(*row) for row in _TABLE}
