"""What an encoder is worth on people it has not seen: the paper's few-shot protocol (section III), for any encoder."""
