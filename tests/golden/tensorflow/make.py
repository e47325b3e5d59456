"""Write a checkpoint with TensorFlow's own Saver, as Google's code did: `python make.py
variables.npz folder/bert_model.ckpt`.

Needs TensorFlow and NumPy alone. With a third argument N, the variables are put on N devices and
saved in N shards.
"""

import sys

import numpy as np
import tensorflow as tf

source, prefix, shards = sys.argv[1], sys.argv[2], int(sys.argv[3]) if sys.argv[3:] else 1
v1 = tf.compat.v1
v1.disable_eager_execution()
found = dict(np.load(source))
step = found.pop("global_step", None)
with v1.Session(config=v1.ConfigProto(device_count={"CPU": shards})) as session:
    for i, (name, values) in enumerate(sorted(found.items())):
        with tf.device(f"/cpu:{i % shards}"):
            variable = v1.get_variable(name, values.shape, values.dtype, use_resource=False)
        session.run(variable.initializer, {variable.initializer.inputs[1]: values})
    if step is not None:
        session.run(
            v1.get_variable(
                "global_step", initializer=np.int64(step), use_resource=False
            ).initializer
        )
    v1.train.Saver(sharded=shards > 1).save(
        session,
        prefix,
        global_step=None if step is None or "bert_model" in prefix else int(step),
        latest_filename="checkpoint",
        write_meta_graph=False,
    )
