"""Trains a network, resumes interrupted runs, and records each run so that it can be checked."""

from boneage.training.devices import join_hosts
from boneage.training.model import build_model
from boneage.training.predictions import load_model, predict_pack, prediction
from boneage.training.pretrain import pretrain
from boneage.training.run import train

__all__ = ["build_model", "join_hosts", "load_model", "predict_pack", "prediction", "pretrain", "train"]
