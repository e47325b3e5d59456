"""The stages, one file each: what it reads, its work, and what it writes into its folder.

1. `data_augmentation`          more training rows
2. `pregenerate_training_data`  training sequences from a corpus
3. `general_distill`            the general student
   `pretrain`, `finetune_teacher`  a teacher, and the teacher of the task
4. `task_distill_mid`           intermediate layers on the task's rows
5. `task_distill_out`           prediction layer
   `undistilled`, `quantize`    the student to compare with, and the student in 8 bits

`stage` runs each of them: it skips what is up to date, resumes what was interrupted, and writes
the manifest. It passes a `Job` to the stage's work. `task_models` loads teacher and student,
`task_training` trains on a task's rows, `evaluation`, `metrics` and `submissions` measure, and
`teachers` and `soft_targets` compute the logits of teachers of any kind.
"""
