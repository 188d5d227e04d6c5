//! The designs that exist. A new one is a preset, a schema and one line in [`DESIGNS`].

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText, quote};
use crate::near::nearest;
use crate::schema::Schema;
use crate::{a3, edge_moe, elsa, host, m3vit, mnnfast, pim_gpt, platform, spatten};

/// A published machine.
#[derive(Debug)]
pub struct Design {
    /// Name on the command line.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// Its values, as TOML with sources.
    pub preset: &'static str,
    /// Names, units and ranges of those values.
    pub schema: &'static Schema,
}

/// Every design, in the order in which lists show them.
pub const DESIGNS: &[Design] = &[
    Design {
        name: "spatten",
        summary: "SpAtten (HPCA 2021), full size: 2 x 512 multipliers, 16 HBM2 channels",
        preset: include_str!("../presets/spatten.toml"),
        schema: &spatten::SCHEMA,
    },
    Design {
        name: "spatten-eighth",
        summary: "SpAtten-1/8, compared with A3 and MNNFast: 2 x 64 multipliers, 2 HBM2 channels",
        preset: include_str!("../presets/spatten-eighth.toml"),
        schema: &spatten::SCHEMA,
    },
    Design {
        name: "spatten-small",
        summary: "SpAtten for a small FPGA: heads of 8 elements, 2 x 16 multipliers, ideal memory",
        preset: include_str!("../presets/spatten-small.toml"),
        schema: &spatten::SCHEMA,
    },
    Design {
        name: "pim-gpt",
        summary: "PIM-GPT (npj 2024): GPT decode in 128 GDDR6 banks with 16 BF16 multipliers each",
        preset: include_str!("../presets/pim-gpt.toml"),
        schema: &pim_gpt::SCHEMA,
    },
    Design {
        name: "pim-gpt-aim",
        summary: "PIM-GPT with the timings and powers of public devices (GDDR6-AiM) only",
        preset: include_str!("../presets/pim-gpt-aim.toml"),
        schema: &pim_gpt::SCHEMA,
    },
    Design {
        name: "edge-moe",
        summary: "Edge-MoE (ICCAD 2023): mixture-of-experts vision transformer on a ZCU102",
        preset: include_str!("../presets/edge-moe.toml"),
        schema: &edge_moe::SCHEMA,
    },
    Design {
        name: "edge-moe-zcu104",
        summary: "Edge-MoE on the smaller ZCU104: one of two weight buffers in UltraRAM",
        preset: include_str!("../presets/edge-moe-zcu104.toml"),
        schema: &edge_moe::SCHEMA,
    },
    Design {
        name: "a3",
        summary: "A3 (HPCA 2020), base machine: attention of one head at a time, 2 x 64 multipliers",
        preset: include_str!("../presets/a3.toml"),
        schema: &a3::SCHEMA,
    },
    Design {
        name: "a3-conservative",
        summary: "A3 with candidate search, n/2 iterations and weights of at least 5 %",
        preset: include_str!("../presets/a3-conservative.toml"),
        schema: &a3::SCHEMA,
    },
    Design {
        name: "a3-aggressive",
        summary: "A3 with candidate search, n/8 iterations and weights of at least 10 %",
        preset: include_str!("../presets/a3-aggressive.toml"),
        schema: &a3::SCHEMA,
    },
    Design {
        name: "mnnfast",
        summary: "MnnFast (ISCA 2019) at the size of the A3 comparison: column-based softmax, zero skipping",
        preset: include_str!("../presets/mnnfast.toml"),
        schema: &mnnfast::SCHEMA,
    },
    Design {
        name: "elsa",
        summary: "ELSA (ISCA 2021): attention to keys whose hash comes near that of the query, 4 banks",
        preset: include_str!("../presets/elsa.toml"),
        schema: &elsa::SCHEMA,
    },
    Design {
        name: "titan-xp",
        summary: "NVIDIA TITAN Xp as a roofline with an overhead per operator",
        preset: include_str!("../presets/titan-xp.toml"),
        schema: &platform::SCHEMA,
    },
    Design {
        name: "jetson-nano",
        summary: "NVIDIA Jetson Nano as a roofline with an overhead per operator",
        preset: include_str!("../presets/jetson-nano.toml"),
        schema: &platform::SCHEMA,
    },
    Design {
        name: "xeon-e5-2640-v4",
        summary: "Intel Xeon E5-2640 v4 as a roofline with an overhead per operator",
        preset: include_str!("../presets/xeon-e5-2640-v4.toml"),
        schema: &platform::SCHEMA,
    },
    Design {
        name: "raspberry-pi-4",
        summary: "Raspberry Pi 4 as a roofline with an overhead per operator",
        preset: include_str!("../presets/raspberry-pi-4.toml"),
        schema: &platform::SCHEMA,
    },
    Design {
        name: "t4",
        summary: "NVIDIA T4 as a roofline with an overhead per operator",
        preset: include_str!("../presets/t4.toml"),
        schema: &platform::SCHEMA,
    },
    Design {
        name: "xeon-gold-6154",
        summary: "Intel Xeon Gold 6154 as a roofline with an overhead per operator",
        preset: include_str!("../presets/xeon-gold-6154.toml"),
        schema: &platform::SCHEMA,
    },
    Design {
        name: "rtx-a6000",
        summary: "NVIDIA RTX A6000 as a roofline with an overhead per operator",
        preset: include_str!("../presets/rtx-a6000.toml"),
        schema: &platform::SCHEMA,
    },
    Design {
        name: "xeon-6226r",
        summary: "Intel Xeon 6226R as a roofline with an overhead per operator",
        preset: include_str!("../presets/xeon-6226r.toml"),
        schema: &platform::SCHEMA,
    },
    Design {
        name: "rtx-8000",
        summary: "NVIDIA Quadro RTX 8000 as a roofline with an overhead per operator",
        preset: include_str!("../presets/rtx-8000.toml"),
        schema: &platform::SCHEMA,
    },
    Design {
        name: "a100",
        summary: "NVIDIA A100 SXM as a roofline with an overhead per operator",
        preset: include_str!("../presets/a100.toml"),
        schema: &platform::SCHEMA,
    },
    Design {
        name: "h100",
        summary: "NVIDIA H100 SXM5 as a roofline with an overhead per operator",
        preset: include_str!("../presets/h100.toml"),
        schema: &platform::SCHEMA,
    },
    Design {
        name: "host",
        summary: "the machine that runs this program, measured with single-precision kernels",
        preset: include_str!("../presets/host.toml"),
        schema: &host::SCHEMA,
    },
    Design {
        name: "m3vit",
        summary: "M3ViT (NeurIPS 2022): mixture-of-experts vision transformer on a ZCU104, double-buffered",
        preset: include_str!("../presets/m3vit.toml"),
        schema: &m3vit::SCHEMA,
    },
];

/// The design of that name.
///
/// # Errors
/// An unknown name, with the nearest known one.
pub fn find(name: &str) -> Result<&'static Design, Diagnostic> {
    if let Some(design) = DESIGNS.iter().find(|design| design.name == name) {
        return Ok(design);
    }
    let names: Vec<_> = DESIGNS.iter().map(|design| design.name).collect();
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`attelier list designs` shows them with one line each".into(),
    };
    Err(Diagnostic {
        title: format!("unknown design {}", quote(name)),
        label: format!("expected one of {}", names.join(", ")),
        origin: Arc::new(SourceText::new("DESIGN", name)),
        span: 0..name.len(),
        help: Some(help),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_design_is_answered_with_the_nearest() {
        let fault = find("spaten").unwrap_err().to_string();
        assert!(fault.contains("expected one of spatten, spatten-eighth"), "{fault}");
        assert!(fault.contains("did you mean `spatten`?"), "{fault}");
        assert!(fault.contains(" --> DESIGN:1:1"), "{fault}");
    }

    #[test]
    fn a_foreign_name_is_answered_with_the_list() {
        let fault = find("tpu").unwrap_err().to_string();
        assert!(fault.contains("attelier list designs"), "{fault}");
    }

    #[test]
    fn names_are_unique_and_summaries_fit_one_line() {
        for (index, design) in DESIGNS.iter().enumerate() {
            assert!(DESIGNS[index + 1..].iter().all(|other| other.name != design.name));
            assert!(design.summary.len() <= 100 && !design.summary.contains('\n'));
        }
    }
}
