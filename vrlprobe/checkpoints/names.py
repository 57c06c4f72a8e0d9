"""The names that a pickle may mention: what the agents people have pickled are made of.

Whatever is mentioned is only written down (`inert.py`), so a name here gives a file no power; but
a file that asks for anything else is none of those agents, and is refused.
"""

from itertools import product

_AGENT_MODULES = (
    *("drqv2", "agents.drqv2", "algos.drqv2", "agents.taco", "algos.svea", "algos.sgqn"),
    *("agents.drm", "agents.drm_mw", "agent.ddpg", "agent.aps", "agent.diayn"),
    *("agent.disagreement", "agent.icm", "agent.icm_apt", "agent.proto", "agent.rnd", "agent.smm"),
    *("bcagent", "cql"),
)
"""drqv2 (also V-D4RL's and A-LIX's), TACO, RL-ViGen, DrM, url_benchmark."""
_AGENT_CLASSES = (
    *("DrQV2Agent", "Encoder", "Actor", "Critic", "RandomShiftsAug", "NoShiftAug", "VNetwork"),
    *("TACOAgent", "TACO", "DrMAgent", "SVEAAgent", "SGQNAgent", "AttributionPredictor"),
    *("AttributionDecoder", "DDPGAgent", "APSAgent", "CriticSF", "APS", "DIAYNAgent", "DIAYN"),
    *("DisagreementAgent", "Disagreement", "ICMAgent", "ICM", "ICMAPTAgent", "ProtoAgent"),
    *("Projector", "RNDAgent", "RND", "SMMAgent", "SMM", "VAE"),
    *("BCAgent", "CQLAgent"),
)

_OTHERS = {
    "utils": ("Timer", "RandomShiftsAug", "ActionEncoding", "DenseParallel", "PBE", "RMS"),
    "analysis_modules": (
        "ReprRegularizedEncoder",
        "AllFeatRegularizedEncoder",
        "AllFeatTiedRegularizedEncoder",
        "LearnShiftRegularizedEncoder",
    ),
    "analysis_layers": (
        *("RandomShiftsAug", "LocalSignalMixing", "ParameterizedReg"),
        *("NonLearnableParameterizedRegWrapper", "DummyParameterizedRegWrapper"),
    ),
    "analysis_custom_autograd_functions": ("LearnS",),
    # Layers of forks, too: their place decides whether they are refused by name or left out.
    "torch.nn.modules.container": ("Sequential", "ModuleList", "ModuleDict", "ParameterList"),
    "torch.nn.modules.conv": ("Conv1d", "Conv2d", "ConvTranspose2d"),
    "torch.nn.modules.linear": ("Linear", "Identity", "Bilinear"),
    "torch.nn.modules.normalization": ("LayerNorm", "GroupNorm", "RMSNorm"),
    "torch.nn.modules.batchnorm": ("BatchNorm1d", "BatchNorm2d"),
    "torch.nn.modules.instancenorm": ("InstanceNorm2d",),
    "torch.nn.modules.activation": (
        *("ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "GELU", "SiLU", "Mish", "Tanh"),
        *("Sigmoid", "Hardtanh", "Softplus", "Softmax", "MultiheadAttention"),
    ),
    "torch.nn.modules.dropout": ("Dropout", "Dropout2d"),
    "torch.nn.modules.pooling": (
        *("MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d"),
    ),
    "torch.nn.modules.padding": ("ZeroPad2d", "ReplicationPad2d", "ReflectionPad2d"),
    "torch.nn.modules.rnn": ("GRU", "GRUCell", "LSTM", "LSTMCell"),
    "torch.nn.modules.sparse": ("Embedding",),
    "torch.nn.modules.upsampling": ("Upsample",),
    "torch.nn.modules.flatten": ("Flatten", "Unflatten"),
    "torch.nn.modules.loss": ("CrossEntropyLoss", "MSELoss"),
    "torch.optim.adam": ("Adam",),
    "torch.optim.adamw": ("AdamW",),
    "torch._utils": ("_rebuild_parameter", "_rebuild_tensor", "_rebuild_tensor_v2"),
    "torch.serialization": ("_get_layout",),
    "torch": (
        *("FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage"),
        *("IntStorage", "ByteStorage", "BoolStorage", "Size", "device"),
    ),
    "collections": ("OrderedDict", "defaultdict", "deque", "Counter"),
    "numpy": ("dtype", "ndarray"),
    "numpy.core.multiarray": ("scalar", "_reconstruct"),
    "numpy._core.multiarray": ("scalar", "_reconstruct"),
    "_codecs": ("encode",),
    # Settings that hydra made stay in the agents of A-LIX and url_benchmark.
    "omegaconf.listconfig": ("ListConfig",),
    "omegaconf.base": ("Metadata", "ContainerMetadata"),
    "omegaconf.nodes": ("AnyNode",),
    "typing": ("Any",),
    # What trainers keep beside the tensors: paths, times, options, random generators.
    **dict.fromkeys(
        ("pathlib", "pathlib._local"),
        ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"),
    ),
    "datetime": ("datetime", "date", "time", "timedelta", "timezone"),
    "argparse": ("Namespace",),
    "types": ("SimpleNamespace",),
    "numpy.random._pickle": ("__generator_ctor", "__bit_generator_ctor", "__randomstate_ctor"),
    "numpy.random._pcg64": ("PCG64", "PCG64DXSM"),
    "numpy.random._mt19937": ("MT19937",),
    "numpy.random.bit_generator": (
        *("SeedSequence", "__pyx_unpickle_SeedSequence", "__pyx_unpickle_SeedlessSequence"),
    ),
    # A-LIX keeps a bound method, which is pickled as getattr(LearnS, "apply").
    "__builtin__": ("dict", "set", "list", "getattr", "long"),
    "builtins": ("dict", "set", "list", "getattr"),
}

KNOWN = frozenset(
    {f"{module}.{name}" for module, name in product(_AGENT_MODULES, _AGENT_CLASSES)}
    | {f"{module}.{name}" for module, names in _OTHERS.items() for name in names}
)
"""'module.name' of everything that a pickle may mention."""
