"""Functions that generated code defines for its estimators, as source text by name."""

SCORE = """def score(gain, log_prob):
    # zero, with the gradient gain * ∇log_prob
    return gain.detach() * (log_prob - log_prob.detach())
"""
LEAVE_ONE_OUT = """def leave_one_out(value, dim):
    # the mean over the other entries of an axis; 0 where there are none
    return (value.sum(dim, keepdim=True) - value) / max(value.shape[dim] - 1, 1)
"""
WITHOUT_EACH = """def without_each(log_weight, dim):
    # log of the sum of weights, with each weight in turn replaced by the geometric mean of the others
    log_weight = log_weight.movedim(dim, 0)
    n = len(log_weight)
    others = (log_weight.sum(0) - log_weight) / max(n - 1, 1)
    own = torch.eye(n, dtype=torch.bool, device=log_weight.device)
    own = own.reshape(n, n, *[1] * (log_weight.dim() - 1))
    return torch.where(own, others[:, None], log_weight).logsumexp(1).movedim(0, dim)
"""
MINIMISED = """class Minimised(torch.autograd.Function):
    # zero, whose gradient is that of a loss to be minimised, whatever sign its place has

    @staticmethod
    def forward(ctx, loss):
        return torch.zeros_like(loss)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.abs()
"""
ANTITHETIC = """def antithetic(logits, noise):
    # pairs of draws, from uniform numbers and from their mirror images
    probs = logits.sigmoid()
    return torch.cat([(1 - noise < probs).to(probs.dtype), (noise < probs).to(probs.dtype)])
"""
DISARM = """def disarm(value, draws, logits, dim):
    # zero, with the gradient by the logits that is the expectation over all equal pairs
    first, second = value.chunk(2, dim)
    own, mirrored = draws.detach().chunk(2, dim)
    weight = (first - second) / 2 * (own - mirrored) * logits.abs().sigmoid()
    return weight.detach() * (logits - logits.detach())
"""
STACKED = """def stacked(logits, noise, noise_given, temperature):
    # discrete draws, their relaxations, and relaxations drawn given the discrete ones
    relaxed = logits + noise
    hard = (relaxed > 0).to(relaxed.dtype)
    above = softplus(noise_given + softplus(logits))
    below = -softplus(noise_given + softplus(-logits))
    given = torch.where(hard > 0, above, below)
    return torch.cat([hard, (relaxed / temperature).sigmoid(), (given / temperature).sigmoid()])
"""
REBAR = """def rebar(value, draws, dim):
    # zero, with the pathwise gradient of the relaxed values minus that of those given the discrete draws
    if not (draws.requires_grad and value.requires_grad):
        return torch.zeros_like(draws.chunk(3, dim)[0])
    (gradient,) = torch.autograd.grad(
        value.sum(), draws, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    _, relaxed, given = (gradient * (draws - draws.detach())).chunk(3, dim)
    return relaxed - given
"""
REWEIGHTED = """def reweighted(log_weight, draws, dim, power):
    # the log-weights; the gradient that reaches their draws is multiplied by 1 - power + power * weight
    factor = 1 - power + power * log_weight.detach().softmax(dim)
    if draws.requires_grad:
        factor = factor.detach().reshape(*factor.shape, *[1] * (draws.dim() - factor.dim()))
        draws.register_hook(lambda gradient: gradient * factor)
    return log_weight
"""
ESTIMATOR_HELPERS = {
    "score": SCORE,
    "leave_one_out": LEAVE_ONE_OUT,
    "without_each": WITHOUT_EACH,
    "Minimised": MINIMISED,
    "antithetic": ANTITHETIC,
    "disarm": DISARM,
    "stacked": STACKED,
    "rebar": REBAR,
    "reweighted": REWEIGHTED,
}
"""The functions by name."""
